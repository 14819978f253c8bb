# bash completion for hoop-lite. Written by scripts/generate-docs; do not change it here.

_hoop_lite() {
    local word=${COMP_WORDS[COMP_CWORD]} path="" index=1 flag=""
    COMPREPLY=()
    while [ "$index" -lt "$COMP_CWORD" ]; do
        case ${COMP_WORDS[index]} in
            --)
                COMPREPLY=($(compgen -c -- "$word"))
                return
                ;;
            --name | -n | --command | --postgres | --mysql | --mssql | --mongodb | --review | --data-masking | --mode | --api-url | --email | --output | -o | --kill-after | --drain-timeout | --key-check-interval | --reconnect-max | --health-listen | --queue-budget | --relay-count-max | --stall-max | --output-after-exit | --user | --separate-sessions | --keepalive-idle | --keepalive-interval | --keepalive-probes | --open-metadata | --client-env | --format | --log-level)
                index=$((index + 1))
                if [ "${COMP_WORDS[index]}" = "=" ]; then index=$((index + 1)); fi
                ;;
            -*) ;;
            *) path="$path ${COMP_WORDS[index]}" ;;
        esac
        index=$((index + 1))
    done
    path=${path# }
    if [ "$index" -gt "$COMP_CWORD" ] || [ "$word" = "=" ]; then
        flag=${COMP_WORDS[COMP_CWORD - 1]}
        if [ "$flag" = "=" ]; then flag=${COMP_WORDS[COMP_CWORD - 2]}; fi
        if [ "$word" = "=" ]; then word=""; fi
        case $flag in
            --mode) COMPREPLY=($(compgen -W "standard embedded" -- "$word")) ;;
            --output | -o) COMPREPLY=($(compgen -W "json" -- "$word")) ;;
            --separate-sessions) COMPREPLY=($(compgen -W "auto true false" -- "$word")) ;;
            --format) COMPREPLY=($(compgen -W "human verbose console json" -- "$word")) ;;
            --log-level) COMPREPLY=($(compgen -W "trace debug info warn error" -- "$word")) ;;
        esac
        return
    fi
    local next=""
    if [ "${word#-}" != "$word" ]; then
        case $path in
            "" | start | "start agent") next="--drain-timeout --key-check-interval --reconnect-max --exit-on-revoked --refuse-plaintext --health-listen --queue-budget --relay-count-max --stall-max --output-after-exit --end-detached --user --separate-sessions --keepalive-idle --keepalive-interval --keepalive-probes --open-metadata --client-env --log-ship --format --log-level --debug --help -h --version -V" ;;
            "run" | "run "*) next="--name -n --command --postgres --mysql --mssql --mongodb --review --data-masking --keep-going --kill-after --drain-timeout --key-check-interval --reconnect-max --exit-on-revoked --refuse-plaintext --health-listen --queue-budget --relay-count-max --stall-max --output-after-exit --end-detached --user --separate-sessions --keepalive-idle --keepalive-interval --keepalive-probes --open-metadata --client-env --log-ship --format --log-level --debug --help -h" ;;
            "admin create agent" | "admin create agent "*) next="--mode --output -o --help -h" ;;
            "admin get agents" | "admin get agents "*) next="--output -o --help -h" ;;
            "admin delete agent" | "admin delete agent "*) next="--ignore-not-found --help -h" ;;
            "admin login" | "admin login "*) next="--api-url --email --help -h" ;;
            "doctor" | "doctor "*) next="--output -o --service --secrets --help -h" ;;
            "health" | "health "*) next="--health-listen --help -h" ;;
            "version" | "version "*) next="--output -o --help -h" ;;
            "help" | "help "*) next="--help -h" ;;
        esac
    else
        path=${path#help}
        case ${path# } in
            "") next="start run admin doctor health version help" ;;
            "start") next="agent" ;;
            "admin") next="create get delete login" ;;
            "admin create") next="agent" ;;
            "admin get") next="agents" ;;
            "admin delete") next="agent" ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$next" -- "$word"))
}
complete -F _hoop_lite hoop-lite
