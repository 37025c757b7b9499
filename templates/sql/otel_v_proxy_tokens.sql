CREATE OR REPLACE VIEW {{view}}
COMMENT 'Tokens by day, agent and model, as the local proxy counts them (proxy.export_usage): the same usage as in the view of tokens, seen from another place, not to be added to it. input_tokens are with cached ones. Made by dbx-agents.'
AS
SELECT
  p.day,
  p.agent,
  p.user_name,
  p.team,
  p.model,
  CAST(SUM(CASE
    WHEN p.token_type = 'input' THEN p.increase
    ELSE CAST(0 AS DOUBLE)
  END) AS BIGINT) AS input_tokens,
  CAST(SUM(CASE
    WHEN p.token_type = 'output' THEN p.increase
    ELSE CAST(0 AS DOUBLE)
  END) AS BIGINT) AS output_tokens
FROM {{points}} AS p
WHERE p.metric = 'gen_ai.client.token.usage'
GROUP BY p.day, p.agent, p.user_name, p.team, p.model
