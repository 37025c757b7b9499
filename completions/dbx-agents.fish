# fish completion for dbx-agents. Made by: dbx-agents completion fish

# The lines that the program knows for "agents", "profiles" or "models": a word, a tab, what it is.
function __dbx_agents_ask
    set -l words (commandline -opc)
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    command $program complete $argv[1] 2>/dev/null
end

# The command that the line has before the cursor ("tables create"), and how many arguments follow it.
function __dbx_agents_line
    set -l words (commandline -opc)
    set -e words[1]
    set -l now ""
    set -l given 0
    set -l skip no
    for word in $words
        if test $skip = yes
            set skip no
            continue
        end
        switch $word
            case '-*'
                if contains -- ":$word" $__dbx_agents_takes_value; or contains -- "$now:$word" $__dbx_agents_takes_value
                    set skip yes
                end
            case '*'
                set -l next (string trim -- "$now $word")
                if contains -- $next $__dbx_agents_commands
                    set now $next
                else
                    set given (math $given + 1)
                end
        end
    end
    echo $now
    echo $given
end

# Whether the line is at that command, and, with a second argument, at that argument of it.
function __dbx_agents_at
    set -l line (__dbx_agents_line)
    test "$line[1]" = "$argv[1]"; and begin
        not set -q argv[2]; or test $line[2] = $argv[2]
    end
end

set -g __dbx_agents_commands 'setup' 'status' 'revert' 'doctor' 'run' 'auth' 'auth token' 'auth status' 'models' 'tables' 'tables create' 'tables check' 'tables ddl' 'tables grant' 'proxy' 'proxy status' 'proxy stop' 'proxy rotate-keys' 'proxy install' 'proxy uninstall' 'usage' 'templates' 'templates list' 'templates show' 'templates export' 'completion' 'help'
set -g __dbx_agents_takes_value ':--config' ':--profile' ':--workspace' 'setup:--gateway' 'setup:--model' 'setup:--auth' 'setup:--claude-betas' 'setup:--otel' 'setup:--scope' 'doctor:--gateway' 'run:--model' 'run:--gateway' 'auth token:--gateway' 'auth status:--gateway' 'models:--agent' 'models:--gateway' 'tables create:--catalog' 'tables create:--schema' 'tables create:--prefix' 'tables create:--signals' 'tables create:--warehouse' 'tables create:--timeout' 'tables check:--catalog' 'tables check:--schema' 'tables check:--prefix' 'tables check:--signals' 'tables check:--warehouse' 'tables check:--timeout' 'tables ddl:--catalog' 'tables ddl:--schema' 'tables ddl:--prefix' 'tables ddl:--signals' 'tables ddl:--warehouse' 'tables ddl:--timeout' 'tables grant:--catalog' 'tables grant:--schema' 'tables grant:--prefix' 'tables grant:--signals' 'tables grant:--warehouse' 'tables grant:--timeout' 'tables grant:--to' 'proxy:--port' 'proxy:--bind' 'proxy:--threads' 'proxy:--drain' 'proxy:--rpm' 'proxy:--tpm' 'proxy:--max-concurrent' 'proxy:--hold' 'proxy:--ledger' 'proxy:--upstream' 'proxy:--gateway' 'proxy:--log-level' 'proxy status:--port' 'proxy stop:--port' 'proxy install:--port' 'proxy install:--gateway' 'usage:--since' 'usage:--until' 'usage:--by' 'usage:--agent' 'usage:--model' 'usage:--html' 'usage:--ledger' 'templates show:--otel'

complete -c dbx-agents -f
complete -c dbx-agents -s h -l help -d 'Print this help'
complete -c dbx-agents -l version -d 'Print the version'
complete -c dbx-agents -l json -d 'One JSON document on stdout'
complete -c dbx-agents -l quiet -d 'Errors only'
complete -c dbx-agents -l verbose -d 'More about what was found and why'
complete -c dbx-agents -l no-color -d 'No colour, even on a terminal'
complete -c dbx-agents -l config -F -r -d 'This configuration file instead of the user\'s'
complete -c dbx-agents -l profile -f -r -a '(__dbx_agents_ask profiles)' -d 'A profile of ~/.databrickscfg'
complete -c dbx-agents -l workspace -f -r -d 'The Databricks workspace'
complete -c dbx-agents -n "__dbx_agents_at '' 0" -a setup -d 'Configure agents: write their files so that they use the AI Gateway'
complete -c dbx-agents -n "__dbx_agents_at '' 0" -a status -d 'Show what is configured now, where, by whom, and what wins over it'
complete -c dbx-agents -n "__dbx_agents_at '' 0" -a revert -d 'Take back exactly what setup wrote'
complete -c dbx-agents -n "__dbx_agents_at '' 0" -a doctor -d 'Find what is wrong with the agents, with one fix for each finding'
complete -c dbx-agents -n "__dbx_agents_at '' 0" -a run -d 'Start an agent through the gateway for this one run, and write nothing'
complete -c dbx-agents -n "__dbx_agents_at '' 0" -a auth -d 'The credential: which one is used, and its token'
complete -c dbx-agents -n "__dbx_agents_at '' 0" -a models -d 'List the gateway\'s models, and which agents can use them'
complete -c dbx-agents -n "__dbx_agents_at '' 0" -a tables -d 'The OpenTelemetry tables in Unity Catalog'
complete -c dbx-agents -n "__dbx_agents_at '' 0" -a proxy -d 'Run the local proxy that agents can go through, in the foreground'
complete -c dbx-agents -n "__dbx_agents_at '' 0" -a usage -d 'Report what was used through the proxy: tokens, cost, time, errors'
complete -c dbx-agents -n "__dbx_agents_at '' 0" -a templates -d 'The templates in use, and where each comes from'
complete -c dbx-agents -n "__dbx_agents_at '' 0" -a completion -d 'Print the script that lets a shell complete dbx-agents'
complete -c dbx-agents -n "__dbx_agents_at '' 0" -a help -d 'Explain a command, or a topic: environment, exit-codes, files, security'

complete -c dbx-agents -n "__dbx_agents_at 'setup'" -l all -d 'Cursor, Codex CLI, Gemini CLI and Claude Code, found or not'
complete -c dbx-agents -n "__dbx_agents_at 'setup'" -l gateway -f -r -d 'The gateway\'s root, used as it is'
complete -c dbx-agents -n "__dbx_agents_at 'setup'" -l model -f -r -a '(__dbx_agents_ask models)' -d 'The model, for the agents named'
complete -c dbx-agents -n "__dbx_agents_at 'setup'" -l auth -f -r -a 'auto helper pat env proxy' -d 'How the agent gets its token'
complete -c dbx-agents -n "__dbx_agents_at 'setup'" -l via-proxy -d 'Through the local proxy: --auth proxy'
complete -c dbx-agents -n "__dbx_agents_at 'setup'" -l claude-betas -f -r -a 'on off' -d 'on: let Claude Code send its beta headers'
complete -c dbx-agents -n "__dbx_agents_at 'setup'" -l otel -f -r -d 'Export metrics and logs to the tables of \'tables create\''
complete -c dbx-agents -n "__dbx_agents_at 'setup'" -l no-otel -d 'Take the telemetry keys out again'
complete -c dbx-agents -n "__dbx_agents_at 'setup'" -l otel-traces -d 'Export traces as well'
complete -c dbx-agents -n "__dbx_agents_at 'setup'" -l scope -f -r -a 'user managed' -d 'user'
complete -c dbx-agents -n "__dbx_agents_at 'setup'" -l dry-run -d 'Show what would change, as a diff'
complete -c dbx-agents -n "__dbx_agents_at 'setup'" -l check -d 'Write nothing'
complete -c dbx-agents -n "__dbx_agents_at 'setup'" -l print -d 'Print the resulting files'
complete -c dbx-agents -n "__dbx_agents_at 'setup'" -l yes -s y -d 'Do not ask'
complete -c dbx-agents -n "__dbx_agents_at 'setup'" -f -a '(__dbx_agents_ask agents)'

complete -c dbx-agents -n "__dbx_agents_at 'status'" -f -a '(__dbx_agents_ask agents)'

complete -c dbx-agents -n "__dbx_agents_at 'revert'" -l all -d 'Everything that setup wrote'
complete -c dbx-agents -n "__dbx_agents_at 'revert'" -l force -d 'Also keys that somebody changed since setup'
complete -c dbx-agents -n "__dbx_agents_at 'revert'" -l list -d 'List what can be taken back, and the backups'
complete -c dbx-agents -n "__dbx_agents_at 'revert'" -l dry-run -d 'Show what would change, as a diff'
complete -c dbx-agents -n "__dbx_agents_at 'revert'" -l yes -s y -d 'Do not ask'
complete -c dbx-agents -n "__dbx_agents_at 'revert'" -f -a '(__dbx_agents_ask agents)'

complete -c dbx-agents -n "__dbx_agents_at 'doctor'" -l gateway -f -r -d 'The gateway\'s root, used as it is'
complete -c dbx-agents -n "__dbx_agents_at 'doctor'" -l offline -d 'Look at this machine only, without asking the gateway'
complete -c dbx-agents -n "__dbx_agents_at 'doctor'" -f -a '(__dbx_agents_ask agents)'

complete -c dbx-agents -n "__dbx_agents_at 'run'" -l model -f -r -d 'The model for this run'
complete -c dbx-agents -n "__dbx_agents_at 'run'" -l gateway -f -r -d 'The gateway\'s root, as in setup'
complete -c dbx-agents -n "__dbx_agents_at 'run'" -l dry-run -d 'Show what would be started'
complete -c dbx-agents -n "__dbx_agents_at 'run' 0" -f -a '(__dbx_agents_ask agents)'

complete -c dbx-agents -n "__dbx_agents_at 'auth' 0" -a token -d 'Print a valid bearer token, one bare line (what helpers call)'
complete -c dbx-agents -n "__dbx_agents_at 'auth' 0" -a status -d 'Show which credential won, and why the others did not'

complete -c dbx-agents -n "__dbx_agents_at 'auth token'" -l gateway -f -r -d 'The gateway that the token is for'
complete -c dbx-agents -n "__dbx_agents_at 'auth token'" -l otel-headers -d 'Print it as the JSON object that Claude Code\'s otelHeadersHelper wants'
complete -c dbx-agents -n "__dbx_agents_at 'auth token'" -l force-refresh -d 'A new token, even if the cached one is still good'

complete -c dbx-agents -n "__dbx_agents_at 'auth status'" -l gateway -f -r -d 'The gateway that the token is for'
complete -c dbx-agents -n "__dbx_agents_at 'auth status'" -l offline -d 'Do not ask the workspace whose token it is'

complete -c dbx-agents -n "__dbx_agents_at 'models'" -l agent -f -r -a '(__dbx_agents_ask agents)' -d 'Only the models that this agent can use'
complete -c dbx-agents -n "__dbx_agents_at 'models'" -l gateway -f -r -d 'The gateway\'s root, used as it is'

complete -c dbx-agents -n "__dbx_agents_at 'tables' 0" -a create -d 'Create the tables that are missing, then check them all'
complete -c dbx-agents -n "__dbx_agents_at 'tables' 0" -a check -d 'Compare the tables with the documented schema, column by column'
complete -c dbx-agents -n "__dbx_agents_at 'tables' 0" -a ddl -d 'Print the SQL that creates the tables, ready to paste'
complete -c dbx-agents -n "__dbx_agents_at 'tables' 0" -a grant -d 'Give a principal exactly the rights that a telemetry writer needs'

complete -c dbx-agents -n "__dbx_agents_at 'tables create'" -l catalog -f -r -d 'The catalog'
complete -c dbx-agents -n "__dbx_agents_at 'tables create'" -l schema -f -r -d 'The schema in it'
complete -c dbx-agents -n "__dbx_agents_at 'tables create'" -l prefix -f -r -d 'What the tables\' names begin with: PREFIX_otel_metrics, …'
complete -c dbx-agents -n "__dbx_agents_at 'tables create'" -l signals -f -r -a '(__fish_append , metrics logs traces)' -d 'Some of these'
complete -c dbx-agents -n "__dbx_agents_at 'tables create'" -l warehouse -f -r -a 'auto' -d 'The SQL warehouse'
complete -c dbx-agents -n "__dbx_agents_at 'tables create'" -l timeout -f -r -d 'For everything, the start of the warehouse included'
complete -c dbx-agents -n "__dbx_agents_at 'tables create'" -l create-schema -d 'Create the schema as well, if it is not there'
complete -c dbx-agents -n "__dbx_agents_at 'tables create'" -l views -d 'The views over them as well: tokens, cost, sessions, errors, tool decisions'
complete -c dbx-agents -n "__dbx_agents_at 'tables create'" -l dry-run -d 'Print the SQL that would run'

complete -c dbx-agents -n "__dbx_agents_at 'tables check'" -l catalog -f -r -d 'The catalog'
complete -c dbx-agents -n "__dbx_agents_at 'tables check'" -l schema -f -r -d 'The schema in it'
complete -c dbx-agents -n "__dbx_agents_at 'tables check'" -l prefix -f -r -d 'What the tables\' names begin with: PREFIX_otel_metrics, …'
complete -c dbx-agents -n "__dbx_agents_at 'tables check'" -l signals -f -r -a '(__fish_append , metrics logs traces)' -d 'Some of these'
complete -c dbx-agents -n "__dbx_agents_at 'tables check'" -l warehouse -f -r -a 'auto' -d 'The SQL warehouse'
complete -c dbx-agents -n "__dbx_agents_at 'tables check'" -l timeout -f -r -d 'For everything, the start of the warehouse included'
complete -c dbx-agents -n "__dbx_agents_at 'tables check'" -l views -d 'Look at the views as well'
complete -c dbx-agents -n "__dbx_agents_at 'tables check'" -l probe -d 'Send a marked metric, log and span the way the agents\' go, and wait for them in the tables'
complete -c dbx-agents -n "__dbx_agents_at 'tables check'" -l direct -d 'The probe goes straight to the workspace, whatever the agents do'

complete -c dbx-agents -n "__dbx_agents_at 'tables ddl'" -l catalog -f -r -d 'The catalog'
complete -c dbx-agents -n "__dbx_agents_at 'tables ddl'" -l schema -f -r -d 'The schema in it'
complete -c dbx-agents -n "__dbx_agents_at 'tables ddl'" -l prefix -f -r -d 'What the tables\' names begin with: PREFIX_otel_metrics, …'
complete -c dbx-agents -n "__dbx_agents_at 'tables ddl'" -l signals -f -r -a '(__fish_append , metrics logs traces)' -d 'Some of these'
complete -c dbx-agents -n "__dbx_agents_at 'tables ddl'" -l warehouse -f -r -a 'auto' -d 'The SQL warehouse'
complete -c dbx-agents -n "__dbx_agents_at 'tables ddl'" -l timeout -f -r -d 'For everything, the start of the warehouse included'
complete -c dbx-agents -n "__dbx_agents_at 'tables ddl'" -l create-schema -d 'Create the schema as well'
complete -c dbx-agents -n "__dbx_agents_at 'tables ddl'" -l views -d 'The views over them as well: tokens, cost, sessions, errors, tool decisions'
complete -c dbx-agents -n "__dbx_agents_at 'tables ddl'" -l dry-run -d 'Without effect here: nothing is ever run'

complete -c dbx-agents -n "__dbx_agents_at 'tables grant'" -l catalog -f -r -d 'The catalog'
complete -c dbx-agents -n "__dbx_agents_at 'tables grant'" -l schema -f -r -d 'The schema in it'
complete -c dbx-agents -n "__dbx_agents_at 'tables grant'" -l prefix -f -r -d 'What the tables\' names begin with: PREFIX_otel_metrics, …'
complete -c dbx-agents -n "__dbx_agents_at 'tables grant'" -l signals -f -r -a '(__fish_append , metrics logs traces)' -d 'Some of these'
complete -c dbx-agents -n "__dbx_agents_at 'tables grant'" -l warehouse -f -r -a 'auto' -d 'The SQL warehouse'
complete -c dbx-agents -n "__dbx_agents_at 'tables grant'" -l timeout -f -r -d 'For everything, the start of the warehouse included'
complete -c dbx-agents -n "__dbx_agents_at 'tables grant'" -l to -f -r -d 'A user\'s e-mail address, a group\'s name or an application id'
complete -c dbx-agents -n "__dbx_agents_at 'tables grant'" -l views -d 'For a reader: SELECT on the views, and nothing on the tables'
complete -c dbx-agents -n "__dbx_agents_at 'tables grant'" -l dry-run -d 'Print the SQL that would run'

complete -c dbx-agents -n "__dbx_agents_at 'proxy'" -l port -f -r -d 'The port to listen on'
complete -c dbx-agents -n "__dbx_agents_at 'proxy'" -l bind -f -r -d 'The address to listen on'
complete -c dbx-agents -n "__dbx_agents_at 'proxy'" -l allow-remote -d 'With --bind: let other machines reach the proxy'
complete -c dbx-agents -n "__dbx_agents_at 'proxy'" -l threads -f -r -d 'Event loops'
complete -c dbx-agents -n "__dbx_agents_at 'proxy'" -l drain -f -r -d 'How long requests under way may take after SIGTERM'
complete -c dbx-agents -n "__dbx_agents_at 'proxy'" -l rpm -f -r -d 'At most so many requests per minute'
complete -c dbx-agents -n "__dbx_agents_at 'proxy'" -l tpm -f -r -d 'At most so many tokens per minute'
complete -c dbx-agents -n "__dbx_agents_at 'proxy'" -l max-concurrent -f -r -d 'At most so many requests at once'
complete -c dbx-agents -n "__dbx_agents_at 'proxy'" -l hold -f -r -d 'How long a request over a limit waits before it is refused'
complete -c dbx-agents -n "__dbx_agents_at 'proxy'" -l ledger -F -r -d 'The ledger\'s file instead of usage.db'
complete -c dbx-agents -n "__dbx_agents_at 'proxy'" -l no-ledger -d 'Record nothing'
complete -c dbx-agents -n "__dbx_agents_at 'proxy'" -l upstream -f -r -d 'Send requests here instead of the gateway'
complete -c dbx-agents -n "__dbx_agents_at 'proxy'" -l gateway -f -r -d 'The gateway\'s root, as in setup'
complete -c dbx-agents -n "__dbx_agents_at 'proxy'" -l log-level -f -r -a 'warn info debug' -d 'How much is logged: debug logs every request'
complete -c dbx-agents -n "__dbx_agents_at 'proxy' 0" -a status -d 'Show the proxies that run, and how they do'
complete -c dbx-agents -n "__dbx_agents_at 'proxy' 0" -a stop -d 'End the running proxies, after the requests under way'
complete -c dbx-agents -n "__dbx_agents_at 'proxy' 0" -a rotate-keys -d 'Give the agents behind the local proxy new keys'
complete -c dbx-agents -n "__dbx_agents_at 'proxy' 0" -a install -d 'Make the local proxy a service of your systemd'
complete -c dbx-agents -n "__dbx_agents_at 'proxy' 0" -a uninstall -d 'Take back exactly what proxy install did'

complete -c dbx-agents -n "__dbx_agents_at 'proxy status'" -l port -f -r -d 'Only the proxy on this port'

complete -c dbx-agents -n "__dbx_agents_at 'proxy stop'" -l port -f -r -d 'Only the proxy on this port'


complete -c dbx-agents -n "__dbx_agents_at 'proxy install'" -l port -f -r -d 'The port'
complete -c dbx-agents -n "__dbx_agents_at 'proxy install'" -l gateway -f -r -d 'The gateway\'s root, as in setup'
complete -c dbx-agents -n "__dbx_agents_at 'proxy install'" -l dry-run -d 'Print the unit'

complete -c dbx-agents -n "__dbx_agents_at 'proxy uninstall'" -l dry-run -d 'Show what would be removed'

complete -c dbx-agents -n "__dbx_agents_at 'usage'" -l since -f -r -d 'Requests from then on: 7d, 12h, today, 2026-11-01'
complete -c dbx-agents -n "__dbx_agents_at 'usage'" -l until -f -r -d 'Requests before then'
complete -c dbx-agents -n "__dbx_agents_at 'usage'" -l by -f -r -a '(__fish_append , agent model day status)' -d 'Group by some of these'
complete -c dbx-agents -n "__dbx_agents_at 'usage'" -l agent -f -r -a '(__dbx_agents_ask agents)' -d 'Only this agent'
complete -c dbx-agents -n "__dbx_agents_at 'usage'" -l model -f -r -a '(__dbx_agents_ask models)' -d 'Only this model'
complete -c dbx-agents -n "__dbx_agents_at 'usage'" -l csv -d 'Comma-separated values'
complete -c dbx-agents -n "__dbx_agents_at 'usage'" -l watch -d 'Keep showing what happens, until Ctrl-C'
complete -c dbx-agents -n "__dbx_agents_at 'usage'" -l html -F -r -d 'Write one self-contained page with plots'
complete -c dbx-agents -n "__dbx_agents_at 'usage'" -l ledger -F -r -d 'Another ledger than the proxy\'s usual one'

complete -c dbx-agents -n "__dbx_agents_at 'templates' 0" -a list -d 'List the agents that have a template'
complete -c dbx-agents -n "__dbx_agents_at 'templates' 0" -a show -d 'Print an agent\'s template'
complete -c dbx-agents -n "__dbx_agents_at 'templates' 0" -a export -d 'Copy a built-in template into your configuration, to change it'


complete -c dbx-agents -n "__dbx_agents_at 'templates show'" -l otel -f -r -d 'With otel'
complete -c dbx-agents -n "__dbx_agents_at 'templates show' 0" -f -a '(__dbx_agents_ask agents)'

complete -c dbx-agents -n "__dbx_agents_at 'templates export' 0" -f -a '(__dbx_agents_ask agents)'

complete -c dbx-agents -n "__dbx_agents_at 'completion' 0" -f -a 'bash zsh fish'

complete -c dbx-agents -n "__dbx_agents_at 'help'" -f -a 'setup status revert doctor run auth models tables proxy usage templates completion help environment exit-codes files security'
