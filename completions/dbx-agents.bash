# bash completion for dbx-agents. Made by: dbx-agents completion bash

# The lines that the program knows for "agents", "profiles" or "models".
_dbx_agents_ask() {
    local program=${COMP_WORDS[0]/#\~/$HOME}
    type -P -- "$program" >/dev/null || program=dbx-agents
    command "$program" complete "$1" 2>/dev/null | cut -f 1
}

# Candidates from words in $1 that begin with $cur, each with $prefix before it.
_dbx_agents_offer() {
    local IFS=$'\n'
    COMPREPLY=($(compgen -P "$prefix" -W "$1" -- "$cur"))
}

# Some of the words in $1, with commas between; one that is there already is not offered again.
_dbx_agents_list() {
    local done= word words=
    if [[ $cur == *,* ]]; then
        done=${cur%,*},
        cur=${cur##*,}
    fi
    for word in $1; do
        [[ ,$done == *",$word,"* ]] || words+=$word$'\n'
    done
    prefix+=$done
    _dbx_agents_offer "$words"
}

_dbx_agents_files() {
    if type compopt >/dev/null 2>&1 && [[ -z $prefix ]]; then
        compopt -o "$1" # readline's own: it knows about quotes and blanks
    else
        local IFS=$'\n' action=-f
        [[ $1 == dirnames ]] && action=-d
        COMPREPLY=($(compgen -P "$prefix" "$action" -- "$cur"))
    fi
}

_dbx_agents() {
    local cur=${COMP_WORDS[COMP_CWORD]} command= flag= prefix= last= end= given=0 i word
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; ++i)); do
        word=${COMP_WORDS[i]}
        if [[ -n $end ]]; then
            given=$((given + 1))
        elif [[ $word == = ]]; then
            flag=$last
        elif [[ -n $flag ]]; then
            flag=
        elif [[ $word == -- ]]; then
            end=yes
        elif [[ $word == -* ]]; then
            last=$word
            _dbx_agents_takes_value "$word" && flag=$word
        elif _dbx_agents_is_command "${command:+$command }$word"; then
            command=${command:+$command }$word
        else
            given=$((given + 1))
        fi
    done
    if [[ $cur == = && -n $last && -z $end ]]; then
        cur= flag=$last
    elif [[ $cur == --*=* && -z $end ]]; then # '=' is not among COMP_WORDBREAKS
        flag=${cur%%=*} prefix=${cur%%=*}= cur=${cur#*=}
    fi
    [[ $cur == [\"\']* ]] && cur=${cur:1}
    if [[ -n $flag ]]; then
        _dbx_agents_value
    elif [[ $cur == -* && -z $end ]]; then
        _dbx_agents_flags
    else
        _dbx_agents_argument
    fi
}

_dbx_agents_is_command() {
    case $1 in
    'setup' | 'status' | 'revert' | 'doctor' | 'run' | 'auth' | 'auth token' | 'auth status' | 'models' | 'tables' | 'tables create' | 'tables check' | 'tables ddl' | 'tables grant' | 'proxy' | 'proxy status' | 'proxy stop' | 'proxy rotate-keys' | 'proxy install' | 'proxy uninstall' | 'usage' | 'templates' | 'templates list' | 'templates show' | 'templates export' | 'completion' | 'help') return 0 ;;
    esac
    return 1
}

_dbx_agents_takes_value() {
    case $command:$1 in
    *':--config' | *':--profile' | *':--workspace' | 'setup:--gateway' | 'setup:--model' | 'setup:--auth' | 'setup:--claude-betas' | 'setup:--otel' | 'setup:--scope' | 'doctor:--gateway' | 'run:--model' | 'run:--gateway' | 'auth token:--gateway' | 'auth status:--gateway' | 'models:--agent' | 'models:--gateway' | 'tables create:--catalog' | 'tables create:--schema' | 'tables create:--prefix' | 'tables create:--signals' | 'tables create:--warehouse' | 'tables create:--timeout' | 'tables check:--catalog' | 'tables check:--schema' | 'tables check:--prefix' | 'tables check:--signals' | 'tables check:--warehouse' | 'tables check:--timeout' | 'tables ddl:--catalog' | 'tables ddl:--schema' | 'tables ddl:--prefix' | 'tables ddl:--signals' | 'tables ddl:--warehouse' | 'tables ddl:--timeout' | 'tables grant:--catalog' | 'tables grant:--schema' | 'tables grant:--prefix' | 'tables grant:--signals' | 'tables grant:--warehouse' | 'tables grant:--timeout' | 'tables grant:--to' | 'proxy:--port' | 'proxy:--bind' | 'proxy:--threads' | 'proxy:--drain' | 'proxy:--rpm' | 'proxy:--tpm' | 'proxy:--max-concurrent' | 'proxy:--hold' | 'proxy:--ledger' | 'proxy:--upstream' | 'proxy:--gateway' | 'proxy:--log-level' | 'proxy status:--port' | 'proxy stop:--port' | 'proxy install:--port' | 'proxy install:--gateway' | 'usage:--since' | 'usage:--until' | 'usage:--by' | 'usage:--agent' | 'usage:--model' | 'usage:--html' | 'usage:--ledger' | 'templates show:--otel') return 0 ;;
    esac
    return 1
}

_dbx_agents_value() {
    case $command:$flag in
    *':--config') _dbx_agents_files default ;;
    *':--profile') _dbx_agents_offer "$(_dbx_agents_ask profiles)" ;;
    'setup:--model') _dbx_agents_offer "$(_dbx_agents_ask models)" ;;
    'setup:--auth') _dbx_agents_offer $'auto\nhelper\npat\nenv\nproxy' ;;
    'setup:--claude-betas') _dbx_agents_offer $'on\noff' ;;
    'setup:--scope') _dbx_agents_offer $'user\nmanaged' ;;
    'models:--agent') _dbx_agents_offer "$(_dbx_agents_ask agents)" ;;
    'tables create:--signals') _dbx_agents_list 'metrics logs traces' ;;
    'tables create:--warehouse') _dbx_agents_offer $'auto' ;;
    'tables check:--signals') _dbx_agents_list 'metrics logs traces' ;;
    'tables check:--warehouse') _dbx_agents_offer $'auto' ;;
    'tables ddl:--signals') _dbx_agents_list 'metrics logs traces' ;;
    'tables ddl:--warehouse') _dbx_agents_offer $'auto' ;;
    'tables grant:--signals') _dbx_agents_list 'metrics logs traces' ;;
    'tables grant:--warehouse') _dbx_agents_offer $'auto' ;;
    'proxy:--ledger') _dbx_agents_files default ;;
    'proxy:--log-level') _dbx_agents_offer $'warn\ninfo\ndebug' ;;
    'usage:--by') _dbx_agents_list 'agent model day status' ;;
    'usage:--agent') _dbx_agents_offer "$(_dbx_agents_ask agents)" ;;
    'usage:--model') _dbx_agents_offer "$(_dbx_agents_ask models)" ;;
    'usage:--html') _dbx_agents_files default ;;
    'usage:--ledger') _dbx_agents_files default ;;
    esac
}

_dbx_agents_flags() {
    local flags=$'--help\n--version\n--json\n--quiet\n--verbose\n--no-color\n--config\n--profile\n--workspace'
    case $command in
    'setup') flags+=$'\n'$'--all\n--gateway\n--model\n--auth\n--via-proxy\n--claude-betas\n--otel\n--no-otel\n--otel-traces\n--scope\n--dry-run\n--check\n--print\n--yes' ;;
    'revert') flags+=$'\n'$'--all\n--force\n--list\n--dry-run\n--yes' ;;
    'doctor') flags+=$'\n'$'--gateway\n--offline' ;;
    'run') flags+=$'\n'$'--model\n--gateway\n--dry-run' ;;
    'auth token') flags+=$'\n'$'--gateway\n--otel-headers\n--force-refresh' ;;
    'auth status') flags+=$'\n'$'--gateway\n--offline' ;;
    'models') flags+=$'\n'$'--agent\n--gateway' ;;
    'tables create') flags+=$'\n'$'--catalog\n--schema\n--prefix\n--signals\n--warehouse\n--timeout\n--create-schema\n--views\n--dry-run' ;;
    'tables check') flags+=$'\n'$'--catalog\n--schema\n--prefix\n--signals\n--warehouse\n--timeout\n--views\n--probe\n--direct' ;;
    'tables ddl') flags+=$'\n'$'--catalog\n--schema\n--prefix\n--signals\n--warehouse\n--timeout\n--create-schema\n--views\n--dry-run' ;;
    'tables grant') flags+=$'\n'$'--catalog\n--schema\n--prefix\n--signals\n--warehouse\n--timeout\n--to\n--views\n--dry-run' ;;
    'proxy') flags+=$'\n'$'--port\n--bind\n--allow-remote\n--threads\n--drain\n--rpm\n--tpm\n--max-concurrent\n--hold\n--ledger\n--no-ledger\n--upstream\n--gateway\n--log-level' ;;
    'proxy status') flags+=$'\n'$'--port' ;;
    'proxy stop') flags+=$'\n'$'--port' ;;
    'proxy install') flags+=$'\n'$'--port\n--gateway\n--dry-run' ;;
    'proxy uninstall') flags+=$'\n'$'--dry-run' ;;
    'usage') flags+=$'\n'$'--since\n--until\n--by\n--agent\n--model\n--csv\n--watch\n--html\n--ledger' ;;
    'templates show') flags+=$'\n'$'--otel' ;;
    esac
    _dbx_agents_offer "$flags"
}

_dbx_agents_argument() {
    case $command in
    '') [[ $given == 0 ]] && _dbx_agents_offer $'setup\nstatus\nrevert\ndoctor\nrun\nauth\nmodels\ntables\nproxy\nusage\ntemplates\ncompletion\nhelp' ;;
    'setup') _dbx_agents_offer "$(_dbx_agents_ask agents)" ;;
    'status') _dbx_agents_offer "$(_dbx_agents_ask agents)" ;;
    'revert') _dbx_agents_offer "$(_dbx_agents_ask agents)" ;;
    'doctor') _dbx_agents_offer "$(_dbx_agents_ask agents)" ;;
    'run') [[ $given == 0 ]] && _dbx_agents_offer "$(_dbx_agents_ask agents)" ;;
    'auth') [[ $given == 0 ]] && _dbx_agents_offer $'token\nstatus' ;;
    'tables') [[ $given == 0 ]] && _dbx_agents_offer $'create\ncheck\nddl\ngrant' ;;
    'proxy') [[ $given == 0 ]] && _dbx_agents_offer $'status\nstop\nrotate-keys\ninstall\nuninstall' ;;
    'templates') [[ $given == 0 ]] && _dbx_agents_offer $'list\nshow\nexport' ;;
    'templates show') [[ $given == 0 ]] && _dbx_agents_offer "$(_dbx_agents_ask agents)" ;;
    'templates export') [[ $given == 0 ]] && _dbx_agents_offer "$(_dbx_agents_ask agents)" ;;
    'completion') [[ $given == 0 ]] && _dbx_agents_offer $'bash\nzsh\nfish' ;;
    'help') _dbx_agents_offer $'setup\nstatus\nrevert\ndoctor\nrun\nauth\nmodels\ntables\nproxy\nusage\ntemplates\ncompletion\nhelp\nenvironment\nexit-codes\nfiles\nsecurity' ;;
    esac
}

complete -F _dbx_agents dbx-agents
