CREATE OR REPLACE VIEW {{view}}
COMMENT 'Sessions of the agents: when, whose, and how many prompts, calls, tools and errors. Made by dbx-agents.'
AS
SELECT
  e.agent,
  e.session,
  MIN(e.day) AS day,
  MIN(e.occurred_at) AS started_at,
  MAX(e.occurred_at) AS ended_at,
  MAX(e.user_name) AS user_name,
  MAX(e.team) AS team,
  COUNT_IF(e.event = 'user_prompt') AS prompts,
  COUNT_IF(e.event = 'api_request') AS model_calls,
  COUNT_IF(e.event IN ('tool_result', 'tool_call')) AS tool_calls,
  COUNT_IF(e.is_error) AS errors
FROM {{events}} AS e
WHERE e.session IS NOT NULL
GROUP BY e.agent, e.session
