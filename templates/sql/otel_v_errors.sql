CREATE OR REPLACE VIEW {{view}}
COMMENT 'Calls of models that failed, as the agents tell them. Made by dbx-agents.'
AS
SELECT
  e.day,
  e.occurred_at,
  e.agent,
  e.user_name,
  e.team,
  e.session,
  e.model,
  e.status_code,
  e.error
FROM {{events}} AS e
WHERE e.is_error
