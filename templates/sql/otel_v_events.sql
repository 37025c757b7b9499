CREATE OR REPLACE VIEW {{view}}
COMMENT 'Events of the agents by one set of names: prompts, calls, errors and tools. One that came twice is there once. Made by dbx-agents.'
AS
WITH named AS (
  SELECT
    CASE WHEN l.time_unix_nano > 0 THEN l.time_unix_nano ELSE l.observed_time_unix_nano END AS time_unix_nano,
    CASE
      WHEN l.resource.attributes['service.name'] LIKE 'claude%' THEN 'claude'
      WHEN l.resource.attributes['service.name'] LIKE 'codex%' THEN 'codex'
      WHEN l.resource.attributes['service.name'] LIKE 'gemini%' THEN 'gemini'
      ELSE l.resource.attributes['service.name']
    END AS agent,
    replace(replace(replace(
      coalesce(nullif(l.attributes['event.name'], ''), nullif(l.event_name, ''), l.body),
      'claude_code.', ''), 'codex.', ''), 'gemini_cli.', '') AS event,
    l.attributes AS attributes,
    l.resource.attributes AS resource_attributes
  FROM {{logs}} AS l
),
known AS (
  SELECT
    n.time_unix_nano,
    n.agent,
    n.event,
    coalesce(
      nullif(n.attributes['user.email'], ''), nullif(n.resource_attributes['user.email'], ''),
      nullif(n.attributes['user.id'], ''), nullif(n.resource_attributes['process.owner'], '')
    ) AS user_name,
    coalesce(n.attributes['team'], n.resource_attributes['team']) AS team,
    coalesce(
      n.attributes['session.id'], n.attributes['conversation.id'], n.resource_attributes['session.id']
    ) AS session,
    n.attributes['model'] AS model,
    coalesce(n.attributes['tool_name'], n.attributes['function_name']) AS tool,
    n.attributes['decision'] AS decision,
    TRY_CAST(coalesce(
      n.attributes['status_code'], n.attributes['http.response.status_code']
    ) AS INT) AS status_code,
    coalesce(
      nullif(n.attributes['error.message'], ''), nullif(n.attributes['error'], '')
    ) AS error,
    row_number() OVER (
      PARTITION BY
        n.time_unix_nano, n.event,
        to_json(array_sort(map_entries(n.attributes))), to_json(array_sort(map_entries(n.resource_attributes)))
      ORDER BY n.time_unix_nano
    ) AS occurrence
  FROM named AS n
  WHERE n.event IN (
    'user_prompt', 'api_request', 'api_error', 'sse_event', 'tool_decision', 'tool_result', 'tool_call'
  )
)
SELECT
  to_date(timestamp_micros(CAST(k.time_unix_nano / 1000 AS BIGINT))) AS day,
  timestamp_micros(CAST(k.time_unix_nano / 1000 AS BIGINT)) AS occurred_at,
  k.agent,
  k.event,
  k.user_name,
  k.team,
  k.session,
  k.model,
  k.tool,
  k.decision,
  k.status_code,
  k.error,
  coalesce(
    k.event = 'api_error'
      OR (k.event IN ('api_request', 'sse_event') AND (k.error IS NOT NULL OR k.status_code >= 400)),
    FALSE
  ) AS is_error
FROM known AS k
WHERE k.occurrence = 1
