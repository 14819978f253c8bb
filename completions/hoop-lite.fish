# fish completion for hoop-lite. Written by scripts/generate-docs; do not change it here.

# The words of the command so far, without flags and their values.
function __hoop_lite_words
    set -l skip 0
    for word in (commandline -opc)[2..]
        if test $skip = 1
            set skip 0
            continue
        end
        switch $word
            case --
                echo -- --
                return
            case --name -n --command --postgres --mysql --mssql --mongodb --review --data-masking --mode --api-url --email --output -o --kill-after --drain-timeout --key-check-interval --reconnect-max --health-listen --queue-budget --relay-count-max --stall-max --output-after-exit --user --separate-sessions --keepalive-idle --keepalive-interval --keepalive-probes --open-metadata --client-env --format --log-level
                set skip 1
            case '-*'
            case '*'
                echo $word
        end
    end
end

# Is this the place where one of these words comes next?
function __hoop_lite_at
    set -l words (__hoop_lite_words)
    if test "$words[1]" = help
        set -e words[1]
    end
    test "$words" = "$argv"
end

# Are we behind this command?
function __hoop_lite_in
    set -l words (__hoop_lite_words)
    string match -q -- "$argv *" "$words "
end

# The agent's flags also come without any command.
function __hoop_lite_in_start_agent
    set -l words (__hoop_lite_words)
    contains -- "$words" '' start 'start agent'
end

# What comes behind -- is a line of its own.
function __hoop_lite_program
    set -l words (commandline -opc)
    set -l behind (math (contains -i -- -- $words) + 1)
    complete -C (string join ' ' -- (string escape -- $words[$behind..]) (commandline -ct))
end

complete -c hoop-lite -f
complete -c hoop-lite -n '__hoop_lite_in run --' -a '(__hoop_lite_program)'
complete -c hoop-lite -n '__hoop_lite_at' -a start -d 'Run the agent; also without any command'
complete -c hoop-lite -n '__hoop_lite_at' -a run -d 'Run the agent beside a program of yours'
complete -c hoop-lite -n '__hoop_lite_at' -a admin -d 'Create, list and delete agents'
complete -c hoop-lite -n '__hoop_lite_at' -a doctor -d 'Find out why the agent does not connect'
complete -c hoop-lite -n '__hoop_lite_at' -a health -d 'Ask the agent that runs here how it is'
complete -c hoop-lite -n '__hoop_lite_at' -a version -d 'Print the version'
complete -c hoop-lite -n '__hoop_lite_at' -a help -d 'Explain a command'
complete -c hoop-lite -n '__hoop_lite_at start' -a agent -d 'Run the agent; also without any command'
complete -c hoop-lite -n '__hoop_lite_at admin' -a create -d 'Create an agent'
complete -c hoop-lite -n '__hoop_lite_at admin' -a get -d 'List agents'
complete -c hoop-lite -n '__hoop_lite_at admin' -a delete -d 'Delete an agent'
complete -c hoop-lite -n '__hoop_lite_at admin' -a login -d 'Sign in with e-mail and password, for the admin commands'
complete -c hoop-lite -n '__hoop_lite_at admin create' -a agent -d 'Create an agent and print its key'
complete -c hoop-lite -n '__hoop_lite_at admin get' -a agents -d 'List the agents, or show one'
complete -c hoop-lite -n '__hoop_lite_at admin delete' -a agent -d 'Delete an agent: its key stops working'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l drain-timeout -x -d 'How long sessions may go on after the first signal to stop (10s).'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l key-check-interval -x -d 'Time between two questions whether the key still stands (15s).'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l reconnect-max -x -d 'Longest wait between two attempts to reach the gateway (30s).'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l exit-on-revoked -d 'End with status 3 when the gateway refuses the key, instead of trying again; run ends its program then.'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l refuse-plaintext -d 'Refuse a gateway without TLS unless its address is loopback, private, shared (100.64.0.0/10) or link-local.'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l health-listen -x -d 'Serve /livez, /readyz, /healthz and /metrics on HOST:PORT, on PORT of this machine alone, or on a unix socket\'s path (off).'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l queue-budget -x -d 'Memory for data that waits for slow targets (32MiB).'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l relay-count-max -x -d 'Connections to targets open at one time (16384).'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l stall-max -x -d 'How long a target may take nothing while the queues are half full (3s).'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l output-after-exit -x -d 'How long jobs that a command leaves behind may go on to print (60s).'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l end-detached -d 'End also what a session has detached by nohup or setsid when it ends normally.'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l user -x -d 'Become this user, by name or number, once the key is read: start as root for a key file that sessions can\'t read; the key is read once.'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l separate-sessions -x -a 'auto true false' -d 'Shut sessions off from one another by Landlock, at the price of sudo and su (auto: where they do not work anyway).'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l keepalive-idle -x -d 'Silence of a connection to a target before TCP asks whether it is there (15s).'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l keepalive-interval -x -d 'Time between two such questions (15s).'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l keepalive-probes -x -d 'How many of them may go unanswered before the connection is closed (9).'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l open-metadata -x -d 'Addresses of cloud metadata that connections of sessions may lead to; all are shut (none).'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l client-env -x -d 'Variables that clients may set: default (all but those by which programs find code), none, or a list such as APP_MODE,BUILD_*.'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l log-ship -d 'Send our log lines to the gateway\'s log view too.'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l format -x -a 'human verbose console json' -d 'Form of log lines; human on a terminal and json elsewhere unless given.'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l log-level -x -a 'trace debug info warn error' -d 'The least important log lines that are written (info).'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l debug -d 'The same as --log-level=debug.'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l help -s h -d 'Explain the command.'
complete -c hoop-lite -n '__hoop_lite_in_start_agent' -l version -s V -d 'Print the version.'
complete -c hoop-lite -n '__hoop_lite_in run' -l name -s n -x -d 'The connection\'s name; the host\'s name unless given.'
complete -c hoop-lite -n '__hoop_lite_in run' -l command -x -d 'What the connection runs; a shell, or the database\'s client, unless given.'
complete -c hoop-lite -n '__hoop_lite_in run' -l postgres -x -d 'Publish a PostgreSQL database: postgres://USER:PASSWORD@HOST/DB.'
complete -c hoop-lite -n '__hoop_lite_in run' -l mysql -x -d 'Publish a MySQL database: mysql://USER:PASSWORD@HOST/DB.'
complete -c hoop-lite -n '__hoop_lite_in run' -l mssql -x -d 'Publish a Microsoft SQL Server: sqlserver://USER:PASSWORD@HOST.'
complete -c hoop-lite -n '__hoop_lite_in run' -l mongodb -x -d 'Publish a MongoDB database: mongodb://USER:PASSWORD@HOST.'
complete -c hoop-lite -n '__hoop_lite_in run' -l review -x -d 'Groups whose approval each session needs, separated by commas.'
complete -c hoop-lite -n '__hoop_lite_in run' -l data-masking -x -d 'Kinds of data that the gateway masks, separated by commas.'
complete -c hoop-lite -n '__hoop_lite_in run' -l keep-going -d 'Start CMD also when key, authority or health address can\'t be used: without the agent, or without its health.'
complete -c hoop-lite -n '__hoop_lite_in run' -l kill-after -x -d 'Kill CMD when it has not ended so long after TERM (never).'
complete -c hoop-lite -n '__hoop_lite_in run' -l drain-timeout -x -d 'How long sessions may go on after the first signal to stop (10s).'
complete -c hoop-lite -n '__hoop_lite_in run' -l key-check-interval -x -d 'Time between two questions whether the key still stands (15s).'
complete -c hoop-lite -n '__hoop_lite_in run' -l reconnect-max -x -d 'Longest wait between two attempts to reach the gateway (30s).'
complete -c hoop-lite -n '__hoop_lite_in run' -l exit-on-revoked -d 'End with status 3 when the gateway refuses the key, instead of trying again; run ends its program then.'
complete -c hoop-lite -n '__hoop_lite_in run' -l refuse-plaintext -d 'Refuse a gateway without TLS unless its address is loopback, private, shared (100.64.0.0/10) or link-local.'
complete -c hoop-lite -n '__hoop_lite_in run' -l health-listen -x -d 'Serve /livez, /readyz, /healthz and /metrics on HOST:PORT, on PORT of this machine alone, or on a unix socket\'s path (off).'
complete -c hoop-lite -n '__hoop_lite_in run' -l queue-budget -x -d 'Memory for data that waits for slow targets (32MiB).'
complete -c hoop-lite -n '__hoop_lite_in run' -l relay-count-max -x -d 'Connections to targets open at one time (16384).'
complete -c hoop-lite -n '__hoop_lite_in run' -l stall-max -x -d 'How long a target may take nothing while the queues are half full (3s).'
complete -c hoop-lite -n '__hoop_lite_in run' -l output-after-exit -x -d 'How long jobs that a command leaves behind may go on to print (60s).'
complete -c hoop-lite -n '__hoop_lite_in run' -l end-detached -d 'End also what a session has detached by nohup or setsid when it ends normally.'
complete -c hoop-lite -n '__hoop_lite_in run' -l user -x -d 'Become this user, by name or number, once the key is read: start as root for a key file that sessions can\'t read; the key is read once.'
complete -c hoop-lite -n '__hoop_lite_in run' -l separate-sessions -x -a 'auto true false' -d 'Shut sessions off from one another by Landlock, at the price of sudo and su (auto: where they do not work anyway).'
complete -c hoop-lite -n '__hoop_lite_in run' -l keepalive-idle -x -d 'Silence of a connection to a target before TCP asks whether it is there (15s).'
complete -c hoop-lite -n '__hoop_lite_in run' -l keepalive-interval -x -d 'Time between two such questions (15s).'
complete -c hoop-lite -n '__hoop_lite_in run' -l keepalive-probes -x -d 'How many of them may go unanswered before the connection is closed (9).'
complete -c hoop-lite -n '__hoop_lite_in run' -l open-metadata -x -d 'Addresses of cloud metadata that connections of sessions may lead to; all are shut (none).'
complete -c hoop-lite -n '__hoop_lite_in run' -l client-env -x -d 'Variables that clients may set: default (all but those by which programs find code), none, or a list such as APP_MODE,BUILD_*.'
complete -c hoop-lite -n '__hoop_lite_in run' -l log-ship -d 'Send our log lines to the gateway\'s log view too.'
complete -c hoop-lite -n '__hoop_lite_in run' -l format -x -a 'human verbose console json' -d 'Form of log lines; human on a terminal and json elsewhere unless given.'
complete -c hoop-lite -n '__hoop_lite_in run' -l log-level -x -a 'trace debug info warn error' -d 'The least important log lines that are written (info).'
complete -c hoop-lite -n '__hoop_lite_in run' -l debug -d 'The same as --log-level=debug.'
complete -c hoop-lite -n '__hoop_lite_in run' -l help -s h -d 'Explain the command.'
complete -c hoop-lite -n '__hoop_lite_in admin create agent' -l mode -x -a 'standard embedded' -d 'How the agent works: one stream held open (the default), or one opened on demand.'
complete -c hoop-lite -n '__hoop_lite_in admin create agent' -l output -s o -x -a 'json' -d 'Print JSON instead of text.'
complete -c hoop-lite -n '__hoop_lite_in admin create agent' -l help -s h -d 'Explain the command.'
complete -c hoop-lite -n '__hoop_lite_in admin get agents' -l output -s o -x -a 'json' -d 'Print JSON instead of text.'
complete -c hoop-lite -n '__hoop_lite_in admin get agents' -l help -s h -d 'Explain the command.'
complete -c hoop-lite -n '__hoop_lite_in admin delete agent' -l ignore-not-found -d 'An agent that does not exist is no failure.'
complete -c hoop-lite -n '__hoop_lite_in admin delete agent' -l help -s h -d 'Explain the command.'
complete -c hoop-lite -n '__hoop_lite_in admin login' -l api-url -x -d 'The gateway\'s REST address.'
complete -c hoop-lite -n '__hoop_lite_in admin login' -l email -x -d 'Who signs in; asked for unless given.'
complete -c hoop-lite -n '__hoop_lite_in admin login' -l help -s h -d 'Explain the command.'
complete -c hoop-lite -n '__hoop_lite_in doctor' -l output -s o -x -a 'json' -d 'Print JSON instead of text.'
complete -c hoop-lite -n '__hoop_lite_in doctor' -l service -d 'Take the variables of the installed service, from /etc/hoop-lite/env, which is root\'s.'
complete -c hoop-lite -n '__hoop_lite_in doctor' -l secrets -d 'Ask the secret stores, too: who the agent is to AWS and Vault, by what, and for how long. A login by AppRole uses its secret id once.'
complete -c hoop-lite -n '__hoop_lite_in doctor' -l help -s h -d 'Explain the command.'
complete -c hoop-lite -n '__hoop_lite_in health' -l health-listen -x -d 'Serve /livez, /readyz, /healthz and /metrics on HOST:PORT, on PORT of this machine alone, or on a unix socket\'s path (off).'
complete -c hoop-lite -n '__hoop_lite_in health' -l help -s h -d 'Explain the command.'
complete -c hoop-lite -n '__hoop_lite_in version' -l output -s o -x -a 'json' -d 'Print JSON instead of text.'
complete -c hoop-lite -n '__hoop_lite_in version' -l help -s h -d 'Explain the command.'
complete -c hoop-lite -n '__hoop_lite_in help' -l help -s h -d 'Explain the command.'
