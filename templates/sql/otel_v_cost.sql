CREATE OR REPLACE VIEW {{view}}
COMMENT 'Cost in USD by day, user, agent and model, where an agent tells it: an estimate of its own by list prices. Made by dbx-agents.'
AS
SELECT
  p.day,
  p.agent,
  p.user_name,
  p.team,
  p.model,
  SUM(CASE
    WHEN p.metric = 'codex.turn.cost_microusd' THEN p.increase / 1000000
    ELSE p.increase
  END) AS cost_usd
FROM {{points}} AS p
WHERE p.metric IN ('claude_code.cost.usage', 'codex.turn.cost_microusd')
GROUP BY p.day, p.agent, p.user_name, p.team, p.model
