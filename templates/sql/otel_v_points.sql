CREATE OR REPLACE VIEW {{view}}
COMMENT 'What each data point of the usage metrics adds: delta and cumulative, sums and histograms. A point that came twice counts once. Made by dbx-agents.'
AS
WITH measured AS (
  SELECT
    m.name AS metric,
    coalesce(m.sum.time_unix_nano, m.histogram.time_unix_nano) AS time_unix_nano,
    coalesce(m.sum.start_time_unix_nano, m.histogram.start_time_unix_nano) AS start_time_unix_nano,
    coalesce(m.sum.value, m.histogram.sum) AS value,
    coalesce(m.sum.aggregation_temporality, m.histogram.aggregation_temporality) AS temporality,
    coalesce(m.sum.attributes, m.histogram.attributes) AS attributes,
    m.resource.attributes AS resource_attributes,
    m.instrumentation_scope.name AS scope
  FROM {{metrics}} AS m
  WHERE m.name IN (
    'claude_code.token.usage', 'claude_code.cost.usage',
    'codex.turn.token_usage', 'codex.turn.cost_microusd',
    'gemini_cli.token.usage',
    'gen_ai.client.token.usage'
  )
),
keyed AS (
  SELECT
    p.*,
    to_json(array_sort(map_entries(p.attributes))) AS attributes_key,
    to_json(array_sort(map_entries(p.resource_attributes))) AS resource_key
  FROM measured AS p
  WHERE p.value IS NOT NULL
    AND (p.metric <> 'gen_ai.client.token.usage' OR p.attributes['dbx_agents.agent'] IS NOT NULL)
),
stepped AS (
  SELECT
    k.*,
    lag(k.time_unix_nano) OVER (
      PARTITION BY k.metric, k.scope, k.start_time_unix_nano, k.attributes_key, k.resource_key
      ORDER BY k.time_unix_nano, k.value
    ) AS previous_time_unix_nano,
    lag(k.value) OVER (
      PARTITION BY k.metric, k.scope, k.start_time_unix_nano, k.attributes_key, k.resource_key
      ORDER BY k.time_unix_nano, k.value
    ) AS previous_value
  FROM keyed AS k
)
SELECT
  to_date(timestamp_micros(CAST(s.time_unix_nano / 1000 AS BIGINT))) AS day,
  s.time_unix_nano,
  s.metric,
  CASE
    WHEN s.metric LIKE 'claude%' THEN 'claude'
    WHEN s.metric LIKE 'codex%' THEN 'codex'
    WHEN s.metric LIKE 'gemini%' THEN 'gemini'
    ELSE s.attributes['dbx_agents.agent']
  END AS agent,
  coalesce(
    nullif(s.attributes['user.email'], ''), nullif(s.resource_attributes['user.email'], ''),
    nullif(s.attributes['user.id'], ''), nullif(s.resource_attributes['process.owner'], '')
  ) AS user_name,
  coalesce(s.attributes['team'], s.resource_attributes['team']) AS team,
  coalesce(
    s.attributes['model'], s.attributes['gen_ai.response.model'], s.attributes['gen_ai.request.model']
  ) AS model,
  coalesce(
    s.attributes['type'], s.attributes['token_type'], s.attributes['gen_ai.token.type']
  ) AS token_type,
  CASE
    WHEN s.previous_time_unix_nano = s.time_unix_nano THEN CAST(0 AS DOUBLE)
    WHEN s.temporality = 'AGGREGATION_TEMPORALITY_CUMULATIVE' AND s.previous_value <= s.value
      THEN s.value - s.previous_value
    ELSE s.value
  END AS increase,
  s.attributes,
  s.resource_attributes
FROM stepped AS s
