CREATE OR REPLACE VIEW {{view}}
COMMENT 'Tokens by day, user, agent and model, as the agents count them. input_tokens are without cached ones, output_tokens with reasoning. Made by dbx-agents.'
AS
SELECT
  p.day,
  p.agent,
  p.user_name,
  p.team,
  p.model,
  CAST(SUM(CASE
    WHEN p.token_type = 'input' THEN p.increase
    WHEN p.agent = 'codex' AND p.token_type IN ('cached_input', 'cache_write_input') THEN -p.increase
    WHEN p.agent = 'gemini' AND p.token_type = 'cache' THEN -p.increase
    WHEN p.agent = 'gemini' AND p.token_type = 'tool' THEN p.increase
    ELSE CAST(0 AS DOUBLE)
  END) AS BIGINT) AS input_tokens,
  CAST(SUM(CASE
    WHEN p.token_type = 'output' THEN p.increase
    WHEN p.agent = 'gemini' AND p.token_type = 'thought' THEN p.increase
    ELSE CAST(0 AS DOUBLE)
  END) AS BIGINT) AS output_tokens,
  CAST(SUM(CASE
    WHEN p.token_type IN ('cacheRead', 'cached_input', 'cache') THEN p.increase
    ELSE CAST(0 AS DOUBLE)
  END) AS BIGINT) AS cache_read_tokens,
  CAST(SUM(CASE
    WHEN p.token_type IN ('cacheCreation', 'cache_write_input') THEN p.increase
    ELSE CAST(0 AS DOUBLE)
  END) AS BIGINT) AS cache_write_tokens,
  CAST(SUM(CASE
    WHEN p.token_type IN ('reasoning_output', 'thought') THEN p.increase
    ELSE CAST(0 AS DOUBLE)
  END) AS BIGINT) AS reasoning_tokens
FROM {{points}} AS p
WHERE p.metric IN ('claude_code.token.usage', 'codex.turn.token_usage', 'gemini_cli.token.usage')
GROUP BY p.day, p.agent, p.user_name, p.team, p.model
