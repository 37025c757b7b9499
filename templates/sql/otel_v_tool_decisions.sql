CREATE OR REPLACE VIEW {{view}}
COMMENT 'How often a tool was let run or refused, by day, user and agent. Made by dbx-agents.'
AS
SELECT
  e.day,
  e.agent,
  e.user_name,
  e.team,
  e.tool,
  e.decision,
  e.decision IN ('accept', 'auto_accept', 'modify', 'approved', 'approved_for_session') AS accepted,
  COUNT(*) AS decisions
FROM {{events}} AS e
WHERE e.decision IS NOT NULL AND e.event IN ('tool_decision', 'tool_call')
GROUP BY e.day, e.agent, e.user_name, e.team, e.tool, e.decision
