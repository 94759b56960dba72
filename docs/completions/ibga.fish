# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_ibga_global_optspecs
    string join \n h/help V/version
end

function __fish_ibga_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_ibga_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_ibga_using_subcommand
    set -l cmd (__fish_ibga_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c ibga -n "__fish_ibga_needs_command" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_needs_command" -s V -l version -d 'Print version'
complete -c ibga -n "__fish_ibga_needs_command" -f -a "check" -d 'Probe the gateway, write the status file, print one line'
complete -c ibga -n "__fish_ibga_needs_command" -f -a "preflight" -d 'Judge the status file and the market: may an agent start now?'
complete -c ibga -n "__fish_ibga_needs_command" -f -a "run" -d 'Start an agent, but only if the gateway is ready and the market open'
complete -c ibga -n "__fish_ibga_needs_command" -f -a "wait" -d 'Wait until the gateway is ready'
complete -c ibga -n "__fish_ibga_needs_command" -f -a "halt" -d 'Let no agent start any more, and stop those that are supervised'
complete -c ibga -n "__fish_ibga_needs_command" -f -a "resume" -d 'End a halt: let agents start again'
complete -c ibga -n "__fish_ibga_needs_command" -f -a "status" -d 'Show the status: stages, age, what to do, next trading session, what is ahead'
complete -c ibga -n "__fish_ibga_needs_command" -f -a "watch" -d 'Stay connected: the status always fresh, a loss known at once'
complete -c ibga -n "__fish_ibga_needs_command" -f -a "calendar" -d 'Show the trading sessions: now and next, a month, or what is known'
complete -c ibga -n "__fish_ibga_needs_command" -f -a "schedule" -d 'Show the schedule of checks and agent runs, or write it for cron or systemd'
complete -c ibga -n "__fish_ibga_needs_command" -f -a "alert" -d 'Try, show and push alerts; acknowledge a problem'
complete -c ibga -n "__fish_ibga_needs_command" -f -a "history" -d 'Show what became of the gateway and what was done about it'
complete -c ibga -n "__fish_ibga_needs_command" -f -a "simulate" -d 'Simulate gateways, healthy or with faults'
complete -c ibga -n "__fish_ibga_needs_command" -f -a "demo" -d 'Show the whole story against a simulated gateway, without an account'
complete -c ibga -n "__fish_ibga_needs_command" -f -a "doctor" -d 'Test every prerequisite, and say how to repair each fault'
complete -c ibga -n "__fish_ibga_needs_command" -f -a "init" -d 'Write a commented configuration file, ibga.toml'
complete -c ibga -n "__fish_ibga_needs_command" -f -a "completions" -d 'Print the completion script of a shell'
complete -c ibga -n "__fish_ibga_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ibga -n "__fish_ibga_using_subcommand check" -l host -d 'Host of the gateway\'s API [default: 127.0.0.1]' -r -f -a "(__fish_print_hostnames)"
complete -c ibga -n "__fish_ibga_using_subcommand check" -l port -d 'Port of the gateway\'s API [default: 4000]' -r
complete -c ibga -n "__fish_ibga_using_subcommand check" -l client-id -d 'First of five API client ids to use, never one of the agent\'s [default: 99]' -r
complete -c ibga -n "__fish_ibga_using_subcommand check" -l container -d 'The gateway\'s container [default: auto, the one that publishes the port]' -r -f -a "auto\t'the one that publishes the port'
none\t'ask no container engine'"
complete -c ibga -n "__fish_ibga_using_subcommand check" -l timeout -d 'Longest time for the whole probe; waiting for another one comes on top [default: 15s]' -r
complete -c ibga -n "__fish_ibga_using_subcommand check" -l settle -d 'How long to wait for late notices after the last answer [default: 50ms]' -r
complete -c ibga -n "__fish_ibga_using_subcommand check" -l broker-probe -d 'The question that only the broker can answer; off asks none [default: contract]' -r -f -a "contract\t'details of a contract'
off\t'ask the broker nothing'"
complete -c ibga -n "__fish_ibga_using_subcommand check" -l expect-account -d 'Account that the login must hold (repeatable)' -r
complete -c ibga -n "__fish_ibga_using_subcommand check" -l expect-mode -d 'What the accounts of the login must be' -r -f -a "paper\t''
live\t''"
complete -c ibga -n "__fish_ibga_using_subcommand check" -l window -d 'Start nothing outside this span of the exchange\'s wall clock: HH:MM-HH:MM on trading days, `sun HH:MM-HH:MM`, or `daily HH:MM-HH:MM` (repeatable)' -r
complete -c ibga -n "__fish_ibga_using_subcommand check" -l exchange -d 'Exchange whose hours count (repeatable) [default: XHKG]' -r -f -a "XHKG\t''
XNYS\t''
XNAS\t''
XTKS\t''
XSHG\t''
XSHE\t''
XSES\t''
XASX\t''
XLON\t''
XETR\t''
stock_connect\t''"
complete -c ibga -n "__fish_ibga_using_subcommand check" -l exchange-rule -d 'Of several exchanges: all have to be open at once, or any is enough [default: all]' -r -f -a "all\t''
any\t''"
complete -c ibga -n "__fish_ibga_using_subcommand check" -l config -d 'Configuration file [default: ./ibga.toml, else in ~/.config/ibga or /etc/ibga]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand check" -l gateway -d 'Which gateway of the configuration [default: default, or the only one]' -r
complete -c ibga -n "__fish_ibga_using_subcommand check" -l status-file -d 'Status file [default: /tmp/ibga-status.json]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand check" -l json -d 'Print the status file\'s object instead of one line'
complete -c ibga -n "__fish_ibga_using_subcommand check" -l allow-read-only -d 'Let a read-only API, which refuses orders, pass with a warning'
complete -c ibga -n "__fish_ibga_using_subcommand check" -s q -l quiet -d 'Say nothing but faults; go by the exit code'
complete -c ibga -n "__fish_ibga_using_subcommand check" -s v -l verbose -d 'Say more: which settings count, how long each stage took'
complete -c ibga -n "__fish_ibga_using_subcommand check" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand preflight" -l max-age -d 'Age from which on a status is stale [default: 10m]' -r
complete -c ibga -n "__fish_ibga_using_subcommand preflight" -l exchange -d 'Exchange whose hours count (repeatable) [default: XHKG]' -r -f -a "XHKG\t''
XNYS\t''
XNAS\t''
XTKS\t''
XSHG\t''
XSHE\t''
XSES\t''
XASX\t''
XLON\t''
XETR\t''
stock_connect\t''"
complete -c ibga -n "__fish_ibga_using_subcommand preflight" -l exchange-rule -d 'Of several exchanges: all have to be open at once, or any is enough [default: all]' -r -f -a "all\t''
any\t''"
complete -c ibga -n "__fish_ibga_using_subcommand preflight" -l expect-account -d 'Account that the login must hold (repeatable)' -r
complete -c ibga -n "__fish_ibga_using_subcommand preflight" -l expect-mode -d 'What the accounts of the login must be' -r -f -a "paper\t''
live\t''"
complete -c ibga -n "__fish_ibga_using_subcommand preflight" -l config -d 'Configuration file [default: ./ibga.toml, else in ~/.config/ibga or /etc/ibga]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand preflight" -l gateway -d 'Which gateway of the configuration [default: default, or the only one]' -r
complete -c ibga -n "__fish_ibga_using_subcommand preflight" -l status-file -d 'Status file [default: /tmp/ibga-status.json]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand preflight" -l json -d 'Print the decision as JSON'
complete -c ibga -n "__fish_ibga_using_subcommand preflight" -l force -d 'Pass over market hours (nothing else)'
complete -c ibga -n "__fish_ibga_using_subcommand preflight" -s q -l quiet -d 'Say nothing but faults; go by the exit code'
complete -c ibga -n "__fish_ibga_using_subcommand preflight" -s v -l verbose -d 'Say more: which settings count, how long each stage took'
complete -c ibga -n "__fish_ibga_using_subcommand preflight" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand run" -l max-age -d 'Age from which on a status is stale [default: 10m]' -r
complete -c ibga -n "__fish_ibga_using_subcommand run" -l exchange -d 'Exchange whose hours count (repeatable) [default: XHKG]' -r -f -a "XHKG\t''
XNYS\t''
XNAS\t''
XTKS\t''
XSHG\t''
XSHE\t''
XSES\t''
XASX\t''
XLON\t''
XETR\t''
stock_connect\t''"
complete -c ibga -n "__fish_ibga_using_subcommand run" -l exchange-rule -d 'Of several exchanges: all have to be open at once, or any is enough [default: all]' -r -f -a "all\t''
any\t''"
complete -c ibga -n "__fish_ibga_using_subcommand run" -l expect-account -d 'Account that the login must hold (repeatable)' -r
complete -c ibga -n "__fish_ibga_using_subcommand run" -l expect-mode -d 'What the accounts of the login must be' -r -f -a "paper\t''
live\t''"
complete -c ibga -n "__fish_ibga_using_subcommand run" -l host -d 'Host of the gateway\'s API [default: 127.0.0.1]' -r -f -a "(__fish_print_hostnames)"
complete -c ibga -n "__fish_ibga_using_subcommand run" -l port -d 'Port of the gateway\'s API [default: 4000]' -r
complete -c ibga -n "__fish_ibga_using_subcommand run" -l client-id -d 'First of five API client ids to use, never one of the agent\'s [default: 99]' -r
complete -c ibga -n "__fish_ibga_using_subcommand run" -l container -d 'The gateway\'s container [default: auto, the one that publishes the port]' -r -f -a "auto\t'the one that publishes the port'
none\t'ask no container engine'"
complete -c ibga -n "__fish_ibga_using_subcommand run" -l timeout -d 'Longest time for the whole probe; waiting for another one comes on top [default: 15s]' -r
complete -c ibga -n "__fish_ibga_using_subcommand run" -l settle -d 'How long to wait for late notices after the last answer [default: 50ms]' -r
complete -c ibga -n "__fish_ibga_using_subcommand run" -l broker-probe -d 'The question that only the broker can answer; off asks none [default: contract]' -r -f -a "contract\t'details of a contract'
off\t'ask the broker nothing'"
complete -c ibga -n "__fish_ibga_using_subcommand run" -l window -d 'Start nothing outside this span of the exchange\'s wall clock: HH:MM-HH:MM on trading days, `sun HH:MM-HH:MM`, or `daily HH:MM-HH:MM` (repeatable)' -r
complete -c ibga -n "__fish_ibga_using_subcommand run" -l stop-on -d 'What stops it beside a halt (repeatable) [default: both]' -r -f -a "halt\t''
not_ready\t''
session_end\t''"
complete -c ibga -n "__fish_ibga_using_subcommand run" -l grace -d 'How long it has to end by itself before it is killed [default: 10s]' -r
complete -c ibga -n "__fish_ibga_using_subcommand run" -l tolerance -d 'How long readiness may be away before it counts as lost [default: 0s]' -r
complete -c ibga -n "__fish_ibga_using_subcommand run" -l config -d 'Configuration file [default: ./ibga.toml, else in ~/.config/ibga or /etc/ibga]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand run" -l gateway -d 'Which gateway of the configuration [default: default, or the only one]' -r
complete -c ibga -n "__fish_ibga_using_subcommand run" -l status-file -d 'Status file [default: /tmp/ibga-status.json]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand run" -l refresh-status -d 'Probe the gateway first and write the status file'
complete -c ibga -n "__fish_ibga_using_subcommand run" -l skip-preflight -d 'Start the command whatever the status is; logs a warning'
complete -c ibga -n "__fish_ibga_using_subcommand run" -l force -d 'Pass over market hours (nothing else)'
complete -c ibga -n "__fish_ibga_using_subcommand run" -l allow-read-only -d 'Let a read-only API, which refuses orders, pass with a warning'
complete -c ibga -n "__fish_ibga_using_subcommand run" -l supervise -d 'Stay beside the agent, and stop it on a halt, when readiness is lost and when the trading session ends'
complete -c ibga -n "__fish_ibga_using_subcommand run" -s q -l quiet -d 'Say nothing but faults; go by the exit code'
complete -c ibga -n "__fish_ibga_using_subcommand run" -s v -l verbose -d 'Say more: which settings count, how long each stage took'
complete -c ibga -n "__fish_ibga_using_subcommand run" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand wait" -l timeout -d 'Longest time to wait, 1s to 24h' -r
complete -c ibga -n "__fish_ibga_using_subcommand wait" -l max-age -d 'Age from which on a status is stale [default: 10m]' -r
complete -c ibga -n "__fish_ibga_using_subcommand wait" -l exchange -d 'Exchange whose hours count (repeatable) [default: XHKG]' -r -f -a "XHKG\t''
XNYS\t''
XNAS\t''
XTKS\t''
XSHG\t''
XSHE\t''
XSES\t''
XASX\t''
XLON\t''
XETR\t''
stock_connect\t''"
complete -c ibga -n "__fish_ibga_using_subcommand wait" -l exchange-rule -d 'Of several exchanges: all have to be open at once, or any is enough [default: all]' -r -f -a "all\t''
any\t''"
complete -c ibga -n "__fish_ibga_using_subcommand wait" -l host -d 'Host of the gateway\'s API [default: 127.0.0.1]' -r -f -a "(__fish_print_hostnames)"
complete -c ibga -n "__fish_ibga_using_subcommand wait" -l port -d 'Port of the gateway\'s API [default: 4000]' -r
complete -c ibga -n "__fish_ibga_using_subcommand wait" -l client-id -d 'First of five API client ids to use, never one of the agent\'s [default: 99]' -r
complete -c ibga -n "__fish_ibga_using_subcommand wait" -l container -d 'The gateway\'s container [default: auto, the one that publishes the port]' -r -f -a "auto\t'the one that publishes the port'
none\t'ask no container engine'"
complete -c ibga -n "__fish_ibga_using_subcommand wait" -l settle -d 'How long to wait for late notices after the last answer [default: 50ms]' -r
complete -c ibga -n "__fish_ibga_using_subcommand wait" -l broker-probe -d 'The question that only the broker can answer; off asks none [default: contract]' -r -f -a "contract\t'details of a contract'
off\t'ask the broker nothing'"
complete -c ibga -n "__fish_ibga_using_subcommand wait" -l expect-account -d 'Account that the login must hold (repeatable)' -r
complete -c ibga -n "__fish_ibga_using_subcommand wait" -l expect-mode -d 'What the accounts of the login must be' -r -f -a "paper\t''
live\t''"
complete -c ibga -n "__fish_ibga_using_subcommand wait" -l config -d 'Configuration file [default: ./ibga.toml, else in ~/.config/ibga or /etc/ibga]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand wait" -l gateway -d 'Which gateway of the configuration [default: default, or the only one]' -r
complete -c ibga -n "__fish_ibga_using_subcommand wait" -l status-file -d 'Status file [default: /tmp/ibga-status.json]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand wait" -l market -d 'Wait until the market is open, too'
complete -c ibga -n "__fish_ibga_using_subcommand wait" -l json -d 'Print the last decision as JSON'
complete -c ibga -n "__fish_ibga_using_subcommand wait" -l allow-read-only -d 'Let a read-only API, which refuses orders, pass with a warning'
complete -c ibga -n "__fish_ibga_using_subcommand wait" -s q -l quiet -d 'Say nothing but faults; go by the exit code'
complete -c ibga -n "__fish_ibga_using_subcommand wait" -s v -l verbose -d 'Say more: which settings count, how long each stage took'
complete -c ibga -n "__fish_ibga_using_subcommand wait" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand halt" -l reason -d 'Why, for whoever finds agents stopped' -r
complete -c ibga -n "__fish_ibga_using_subcommand halt" -l gateway -d 'Only the agents of this gateway [default: those of all gateways]' -r
complete -c ibga -n "__fish_ibga_using_subcommand halt" -l config -d 'Configuration file [default: ./ibga.toml, else in ~/.config/ibga or /etc/ibga]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand halt" -l json -d 'Print what came of it as JSON'
complete -c ibga -n "__fish_ibga_using_subcommand halt" -s q -l quiet -d 'Say nothing but faults; go by the exit code'
complete -c ibga -n "__fish_ibga_using_subcommand halt" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand resume" -l gateway -d 'Only the agents of this gateway [default: those of all gateways]' -r
complete -c ibga -n "__fish_ibga_using_subcommand resume" -l config -d 'Configuration file [default: ./ibga.toml, else in ~/.config/ibga or /etc/ibga]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand resume" -l json -d 'Print what came of it as JSON'
complete -c ibga -n "__fish_ibga_using_subcommand resume" -s q -l quiet -d 'Say nothing but faults; go by the exit code'
complete -c ibga -n "__fish_ibga_using_subcommand resume" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand status" -l max-age -d 'Age from which on a status is stale [default: 10m]' -r
complete -c ibga -n "__fish_ibga_using_subcommand status" -l exchange -d 'Exchange whose hours count (repeatable) [default: XHKG]' -r -f -a "XHKG\t''
XNYS\t''
XNAS\t''
XTKS\t''
XSHG\t''
XSHE\t''
XSES\t''
XASX\t''
XLON\t''
XETR\t''
stock_connect\t''"
complete -c ibga -n "__fish_ibga_using_subcommand status" -l exchange-rule -d 'Of several exchanges: all have to be open at once, or any is enough [default: all]' -r -f -a "all\t''
any\t''"
complete -c ibga -n "__fish_ibga_using_subcommand status" -l container -d 'The gateway\'s container, for --logs [default: auto]' -r -f -a "auto\t'the one that publishes the port'
none\t'ask no container engine'"
complete -c ibga -n "__fish_ibga_using_subcommand status" -l expect-account -d 'Account that the login must hold (repeatable)' -r
complete -c ibga -n "__fish_ibga_using_subcommand status" -l expect-mode -d 'What the accounts of the login must be' -r -f -a "paper\t''
live\t''"
complete -c ibga -n "__fish_ibga_using_subcommand status" -l config -d 'Configuration file [default: ./ibga.toml, else in ~/.config/ibga or /etc/ibga]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand status" -l gateway -d 'Which gateway of the configuration [default: default, or the only one]' -r
complete -c ibga -n "__fish_ibga_using_subcommand status" -l status-file -d 'Status file [default: /tmp/ibga-status.json]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand status" -l json -d 'Print one JSON object instead of the page'
complete -c ibga -n "__fish_ibga_using_subcommand status" -l show-accounts -d 'Show account ids in full'
complete -c ibga -n "__fish_ibga_using_subcommand status" -l logs -d 'Show the last lines of the container\'s log'
complete -c ibga -n "__fish_ibga_using_subcommand status" -s q -l quiet -d 'Say nothing but faults; go by the exit code'
complete -c ibga -n "__fish_ibga_using_subcommand status" -s v -l verbose -d 'Say more: which settings count, how long each stage took'
complete -c ibga -n "__fish_ibga_using_subcommand status" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand watch" -l heartbeat -d 'How often to ask for the time and refresh the status file [default: 20s]' -r
complete -c ibga -n "__fish_ibga_using_subcommand watch" -l host -d 'Host of the gateway\'s API [default: 127.0.0.1]' -r -f -a "(__fish_print_hostnames)"
complete -c ibga -n "__fish_ibga_using_subcommand watch" -l port -d 'Port of the gateway\'s API [default: 4000]' -r
complete -c ibga -n "__fish_ibga_using_subcommand watch" -l client-id -d 'First of five API client ids to use, never one of the agent\'s [default: 99]' -r
complete -c ibga -n "__fish_ibga_using_subcommand watch" -l container -d 'The gateway\'s container [default: auto, the one that publishes the port]' -r -f -a "auto\t'the one that publishes the port'
none\t'ask no container engine'"
complete -c ibga -n "__fish_ibga_using_subcommand watch" -l timeout -d 'Longest time for the whole probe; waiting for another one comes on top [default: 15s]' -r
complete -c ibga -n "__fish_ibga_using_subcommand watch" -l settle -d 'How long to wait for late notices after the last answer [default: 50ms]' -r
complete -c ibga -n "__fish_ibga_using_subcommand watch" -l broker-probe -d 'The question that only the broker can answer; off asks none [default: contract]' -r -f -a "contract\t'details of a contract'
off\t'ask the broker nothing'"
complete -c ibga -n "__fish_ibga_using_subcommand watch" -l expect-account -d 'Account that the login must hold (repeatable)' -r
complete -c ibga -n "__fish_ibga_using_subcommand watch" -l expect-mode -d 'What the accounts of the login must be' -r -f -a "paper\t''
live\t''"
complete -c ibga -n "__fish_ibga_using_subcommand watch" -l exchange -d 'Exchange whose hours count (repeatable) [default: XHKG]' -r -f -a "XHKG\t''
XNYS\t''
XNAS\t''
XTKS\t''
XSHG\t''
XSHE\t''
XSES\t''
XASX\t''
XLON\t''
XETR\t''
stock_connect\t''"
complete -c ibga -n "__fish_ibga_using_subcommand watch" -l exchange-rule -d 'Of several exchanges: all have to be open at once, or any is enough [default: all]' -r -f -a "all\t''
any\t''"
complete -c ibga -n "__fish_ibga_using_subcommand watch" -l config -d 'Configuration file [default: ./ibga.toml, else in ~/.config/ibga or /etc/ibga]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand watch" -l gateway -d 'Which gateway of the configuration [default: default, or the only one]' -r
complete -c ibga -n "__fish_ibga_using_subcommand watch" -l status-file -d 'Status file [default: /tmp/ibga-status.json]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand watch" -l dry-run -d 'Do nothing to recover a gateway; only tell what would have been done'
complete -c ibga -n "__fish_ibga_using_subcommand watch" -l allow-read-only -d 'Let a read-only API, which refuses orders, pass with a warning'
complete -c ibga -n "__fish_ibga_using_subcommand watch" -s q -l quiet -d 'Say nothing but faults; go by the exit code'
complete -c ibga -n "__fish_ibga_using_subcommand watch" -s v -l verbose -d 'Say more: which settings count, how long each stage took'
complete -c ibga -n "__fish_ibga_using_subcommand watch" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand calendar" -l exchange-rule -d 'Of several exchanges: all have to be open at once, or any is enough [default: all]' -r -f -a "all\t''
any\t''"
complete -c ibga -n "__fish_ibga_using_subcommand calendar" -l at -d 'An instant to look at [default: now]' -r
complete -c ibga -n "__fish_ibga_using_subcommand calendar" -l month -d 'Draw a month, such as 2026-12' -r
complete -c ibga -n "__fish_ibga_using_subcommand calendar" -l config -d 'Configuration file [default: ./ibga.toml, else in ~/.config/ibga or /etc/ibga]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand calendar" -l gateway -d 'Which gateway of the configuration [default: default, or the only one]' -r
complete -c ibga -n "__fish_ibga_using_subcommand calendar" -l status-file -d 'Status file [default: /tmp/ibga-status.json]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand calendar" -l list -d 'List the years that are known, of every exchange unless some are named'
complete -c ibga -n "__fish_ibga_using_subcommand calendar" -l json -d 'Print JSON: an object for one exchange, an array for several'
complete -c ibga -n "__fish_ibga_using_subcommand calendar" -s q -l quiet -d 'Say nothing but faults; go by the exit code'
complete -c ibga -n "__fish_ibga_using_subcommand calendar" -s v -l verbose -d 'Say more: which settings count, how long each stage took'
complete -c ibga -n "__fish_ibga_using_subcommand calendar" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and not __fish_seen_subcommand_from next crontab systemd help" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and not __fish_seen_subcommand_from next crontab systemd help" -f -a "next" -d 'Show what will happen when, with IBKR\'s resets and the end of the weekly login between'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and not __fish_seen_subcommand_from next crontab systemd help" -f -a "crontab" -d 'Write the schedule as lines of a crontab'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and not __fish_seen_subcommand_from next crontab systemd help" -f -a "systemd" -d 'Write the schedule as systemd units'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and not __fish_seen_subcommand_from next crontab systemd help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from next" -l days -d 'How many times 24 hours to look ahead' -r
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from next" -l exchange -d 'Exchange whose hours count (repeatable) [default: XHKG]' -r -f -a "XHKG\t''
XNYS\t''
XNAS\t''
XTKS\t''
XSHG\t''
XSHE\t''
XSES\t''
XASX\t''
XLON\t''
XETR\t''
stock_connect\t''"
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from next" -l exchange-rule -d 'Of several exchanges: all have to be open at once, or any is enough [default: all]' -r -f -a "all\t''
any\t''"
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from next" -l config -d 'Configuration file [default: ./ibga.toml, else in ~/.config/ibga or /etc/ibga]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from next" -l gateway -d 'Which gateway of the configuration [default: default, or the only one]' -r
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from next" -l status-file -d 'Status file [default: /tmp/ibga-status.json]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from next" -l json -d 'Print JSON'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from next" -s q -l quiet -d 'Say nothing but faults; go by the exit code'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from next" -s v -l verbose -d 'Say more: which settings count, how long each stage took'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from next" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from crontab" -l host-zone -d 'The zone that cron goes by [default: that of /etc/localtime]' -r
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from crontab" -l exchange -d 'Exchange whose hours count (repeatable) [default: XHKG]' -r -f -a "XHKG\t''
XNYS\t''
XNAS\t''
XTKS\t''
XSHG\t''
XSHE\t''
XSES\t''
XASX\t''
XLON\t''
XETR\t''
stock_connect\t''"
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from crontab" -l exchange-rule -d 'Of several exchanges: all have to be open at once, or any is enough [default: all]' -r -f -a "all\t''
any\t''"
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from crontab" -l config -d 'Configuration file [default: ./ibga.toml, else in ~/.config/ibga or /etc/ibga]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from crontab" -l gateway -d 'Which gateway of the configuration [default: default, or the only one]' -r
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from crontab" -l status-file -d 'Status file [default: /tmp/ibga-status.json]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from crontab" -l install -d 'Put the lines into this user\'s crontab'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from crontab" -l remove -d 'Take the lines out of this user\'s crontab'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from crontab" -s q -l quiet -d 'Say nothing but faults; go by the exit code'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from crontab" -s v -l verbose -d 'Say more: which settings count, how long each stage took'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from crontab" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from systemd" -l folder -d 'Folder to install to or remove from, without starting or stopping anything [default: systemd\'s own]' -r -f -a "(__fish_complete_directories)"
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from systemd" -l user -d 'User that the system\'s units run as [default: whoever called sudo]' -r -f -a "(__fish_complete_users)"
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from systemd" -l watch-user -d 'User that the watch runs as, if the system\'s manager runs it [default: that of --user]' -r -f -a "(__fish_complete_users)"
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from systemd" -l exchange -d 'Exchange whose hours count (repeatable) [default: XHKG]' -r -f -a "XHKG\t''
XNYS\t''
XNAS\t''
XTKS\t''
XSHG\t''
XSHE\t''
XSES\t''
XASX\t''
XLON\t''
XETR\t''
stock_connect\t''"
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from systemd" -l exchange-rule -d 'Of several exchanges: all have to be open at once, or any is enough [default: all]' -r -f -a "all\t''
any\t''"
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from systemd" -l config -d 'Configuration file [default: ./ibga.toml, else in ~/.config/ibga or /etc/ibga]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from systemd" -l gateway -d 'Which gateway of the configuration [default: default, or the only one]' -r
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from systemd" -l status-file -d 'Status file [default: /tmp/ibga-status.json]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from systemd" -l install -d 'Write the units to their folder and start the timers'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from systemd" -l remove -d 'Stop the timers and take the units out of their folder'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from systemd" -l watch -d 'Make the service of `ibga watch`, for all gateways, instead of checks; with --remove: take it away, too'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from systemd" -s q -l quiet -d 'Say nothing but faults; go by the exit code'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from systemd" -s v -l verbose -d 'Say more: which settings count, how long each stage took'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from systemd" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from help" -f -a "next" -d 'Show what will happen when, with IBKR\'s resets and the end of the weekly login between'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from help" -f -a "crontab" -d 'Write the schedule as lines of a crontab'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from help" -f -a "systemd" -d 'Write the schedule as systemd units'
complete -c ibga -n "__fish_ibga_using_subcommand schedule; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and not __fish_seen_subcommand_from test list flush ack help" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and not __fish_seen_subcommand_from test list flush ack help" -f -a "test" -d 'Send a test message and show what each server answers'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and not __fish_seen_subcommand_from test list flush ack help" -f -a "list" -d 'Show what was sent and what waits'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and not __fish_seen_subcommand_from test list flush ack help" -f -a "flush" -d 'Send what waits, now'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and not __fish_seen_subcommand_from test list flush ack help" -f -a "ack" -d 'Say that the problem is known: no reminders and no escalation until it changes'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and not __fish_seen_subcommand_from test list flush ack help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from test" -l channel -d 'Channel to try (repeatable) [default: all that are set]' -r -f -a "email\t''
sendmail\t''
webhook\t''
ntfy\t''
telegram\t''
slack\t''
discord\t''
pushover\t''
alertmanager\t''
command\t''"
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from test" -l config -d 'Configuration file [default: ./ibga.toml, else in ~/.config/ibga or /etc/ibga]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from test" -l gateway -d 'Which gateway of the configuration [default: default, or the only one]' -r
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from test" -l status-file -d 'Status file [default: /tmp/ibga-status.json]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from test" -l json -d 'Print JSON'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from test" -s q -l quiet -d 'Say nothing but faults; go by the exit code'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from test" -s v -l verbose -d 'Say more: which settings count, how long each stage took'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from test" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from list" -l last -d 'How many alerts, the newest [default: 20]' -r
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from list" -l config -d 'Configuration file [default: ./ibga.toml, else in ~/.config/ibga or /etc/ibga]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from list" -l gateway -d 'Which gateway of the configuration [default: default, or the only one]' -r
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from list" -l status-file -d 'Status file [default: /tmp/ibga-status.json]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from list" -l json -d 'Print JSON'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing but faults; go by the exit code'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say more: which settings count, how long each stage took'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from flush" -l config -d 'Configuration file [default: ./ibga.toml, else in ~/.config/ibga or /etc/ibga]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from flush" -l gateway -d 'Which gateway of the configuration [default: default, or the only one]' -r
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from flush" -l status-file -d 'Status file [default: /tmp/ibga-status.json]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from flush" -l json -d 'Print JSON'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from flush" -s q -l quiet -d 'Say nothing but faults; go by the exit code'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from flush" -s v -l verbose -d 'Say more: which settings count, how long each stage took'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from flush" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from ack" -l by -d 'Who knows of it [default: this user]' -r
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from ack" -l config -d 'Configuration file [default: ./ibga.toml, else in ~/.config/ibga or /etc/ibga]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from ack" -l gateway -d 'Which gateway of the configuration [default: default, or the only one]' -r
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from ack" -l status-file -d 'Status file [default: /tmp/ibga-status.json]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from ack" -s q -l quiet -d 'Say nothing but faults; go by the exit code'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from ack" -s v -l verbose -d 'Say more: which settings count, how long each stage took'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from ack" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from help" -f -a "test" -d 'Send a test message and show what each server answers'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from help" -f -a "list" -d 'Show what was sent and what waits'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from help" -f -a "flush" -d 'Send what waits, now'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from help" -f -a "ack" -d 'Say that the problem is known: no reminders and no escalation until it changes'
complete -c ibga -n "__fish_ibga_using_subcommand alert; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ibga -n "__fish_ibga_using_subcommand history" -l since -d 'How far to look back: a number with m, h, d or w' -r
complete -c ibga -n "__fish_ibga_using_subcommand history" -l config -d 'Configuration file [default: ./ibga.toml, else in ~/.config/ibga or /etc/ibga]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand history" -l gateway -d 'Which gateway of the configuration [default: default, or the only one]' -r
complete -c ibga -n "__fish_ibga_using_subcommand history" -l status-file -d 'Status file [default: /tmp/ibga-status.json]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand history" -l json -d 'Print one JSON object'
complete -c ibga -n "__fish_ibga_using_subcommand history" -s q -l quiet -d 'Say nothing but faults; go by the exit code'
complete -c ibga -n "__fish_ibga_using_subcommand history" -s v -l verbose -d 'Say more: which settings count, how long each stage took'
complete -c ibga -n "__fish_ibga_using_subcommand history" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand simulate" -l port -d 'Port to listen on; 0 takes a free one [default: 4002, or a free one for a command]' -r
complete -c ibga -n "__fish_ibga_using_subcommand simulate" -l host -d 'Address to listen on, of many gateways the first' -r
complete -c ibga -n "__fish_ibga_using_subcommand simulate" -l gateways -d 'How many gateways: each at an address of its own, all at the same port' -r
complete -c ibga -n "__fish_ibga_using_subcommand simulate" -l scenario -d 'What the gateway does (--list shows them), or a timeline of several: \'ready 30s, restart 10s, ready\' [default: ready]' -r -f -a "ready\t'A healthy gateway: logged in, farms up, orders allowed.'
logged_out\t'Not logged in: the API port is closed; with a proxy in front, what that proxy makes of it.'
port_refused\t'Nothing listens at the outer port, whatever proxy is configured: connections are refused.'
port_timeout\t'The outer port\'s queue is full: connections get no answer at all.'
wedged\t'The API port is open, but nobody accepts: connections open and stay silent.'
api_silent\t'Connections are accepted and never answered, as behind an unanswered accept dialog.'
api_closed\t'Connections are accepted and closed at once.'
api_reset\t'Connections are accepted and reset at once.'
restart\t'A restart under way: connections are closed and reset in turn; give it an end with a time until ready.'
http\t'A web server listens at the port: it answers 400 Bad Request.'
tls\t'A TLS server listens at the port: it answers with an alert.'
ssh\t'An SSH server listens at the port: it speaks first.'
vnc\t'A VNC server listens at the port: it speaks first.'
garbage\t'Bytes of no known protocol, then the end.'
hello_cut\t'Half a hello, then the end.'
redirected\t'The hello points to another host.'
server_too_old\t'The hello says version 76, older than the framed protocol.'
newer_than_announced\t'The hello says version 222, whatever the client announced.'
zone_gbk\t'The hello\'s time zone is Chinese in GBK, not UTF-8; all else is healthy.'
no_zone\t'The hello\'s time has no zone; all else is healthy.'
startup_silent\t'The hello is answered, then neither accounts nor order id.'
too_many_clients\t'The gateway has its 32 clients: a new one is stuck after the hello.'
client_rejected\t'The connection ends after startApi, without a word.'
client_id_in_use\t'Every client id is in use: error 326, then the end.'
client_id_held\t'The first client id to come is in use for good, every other one is fine.'
paper_disclaimer\t'The paper trading disclaimer is not accepted: error 10141, then the end.'
accounts_missing\t'The order id comes, the account list never does.'
accounts_empty\t'The account list is empty.'
accounts_trailing_comma\t'The account list ends in a comma; all else is healthy.'
accounts_late\t'The account list comes one second after the order id; all else is healthy.'
order_id_missing\t'The account list comes, the order id never does.'
broken_field\t'The order id is not a number.'
protocol_error\t'After startApi comes a frame length that the protocol does not allow.'
flood\t'After startApi come endless unknown messages, some of them huge.'
master_client_replays\t'Orders and account values come before the accounts, as for a master client; all else is healthy.'
unsolicited_order\t'The order id comes before the accounts, notices between them; all else is healthy.'
bytewise\t'Every byte is a write of its own; all else is healthy.'
one_write\t'Everything that belongs together comes in one write; all else is healthy.'
api_unresponsive\t'The session opens, then no request is answered.'
half_open\t'The session opens, then the peer is gone without closing, as behind a dead NAT entry.'
read_only_api\t'The API is read-only: error 321 to everything about orders.'
clock_skewed\t'The gateway\'s clock is two minutes ahead, or off by the configured offset.'
mid_session_close\t'Everything is answered; one second after the start the session is closed.'
pacing_kill\t'Error 100 for too many messages, then the end.'
port_moved\t'Error 1300: the API moved to another port, then the end.'
server_reset\t'The broker\'s servers reset: bursts of 1100, nothing from the broker.'
broker_silent\t'The gateway answers for itself, the broker never does, and nothing is said about it.'
broker_link_down\t'1100: the link to the broker is down.'
broker_link_down_2110\t'2110: the link to the broker is down, in its other form.'
broker_link_down_farms_ok\t'1100, then farms that claim to be up: the link is still down.'
broker_link_restored\t'1100, then 1102: the link was lost and is back.'
broker_link_restored_data_lost\t'1100, then 1101: the link is back, subscriptions are lost.'
competing_session\t'10197: another live session has the market data.'
competing_session_162\t'162: the login is in use from a different IP address.'
competing_session_420\t'420: the login is in use from a different IP address.'
data_farm_down\t'2103: the market data farm hfarm is broken.'
hmds_farm_down\t'2105: the historical data farm hkhmds is broken.'
secdef_farm_down\t'2157: the contract data farm secdefhk is broken.'
farm_flap\t'2103, then 2104: a farm was broken and is back.'
farms_inactive\t'2107 and 2108: farms asleep until asked, which is healthy.'
farms_late\t'Farm notices come after 700 ms; a question to the broker asked before them is never answered.'
market_hours_closed\t'The trading hours of every stock say closed on each day; all else is healthy.'
market_hours_changed\t'The trading hours of every stock end an hour early; all else is healthy.'
market_hours_unknown_zone\t'The trading hours come with a time zone that nobody knows; all else is healthy.'"
complete -c ibga -n "__fish_ibga_using_subcommand simulate" -l timeline -d 'File with the timeline' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand simulate" -l speed -d 'How many times as fast the timeline plays: 60 makes seconds of minutes' -r
complete -c ibga -n "__fish_ibga_using_subcommand simulate" -l control -d 'Take requests that switch scenarios at this port of this machine; 0 takes a free one' -r
complete -c ibga -n "__fish_ibga_using_subcommand simulate" -l events -d 'Write events to this file, anew, instead of standard output' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand simulate" -l proxy -d 'What stands before the gateway\'s own port: none, socat, docker or the ibga container\'s (`ibga_socat`)' -r -f -a "none\t''
ibga_socat\t''
socat\t''
docker\t''"
complete -c ibga -n "__fish_ibga_using_subcommand simulate" -l server-version -d 'Highest API version of the gateway: text to 200, mixed to 212, protobuf from 213' -r
complete -c ibga -n "__fish_ibga_using_subcommand simulate" -l account -d 'Account of the login (repeatable) [default: DU1234567, of further gateways DU1234568, …]' -r
complete -c ibga -n "__fish_ibga_using_subcommand simulate" -l delay -d 'How long the gateway thinks before each answer' -r
complete -c ibga -n "__fish_ibga_using_subcommand simulate" -l dribble -d 'Write single bytes with this pause between them' -r
complete -c ibga -n "__fish_ibga_using_subcommand simulate" -l clock-offset -d 'How far the gateway\'s clock is ahead (negative: behind)' -r
complete -c ibga -n "__fish_ibga_using_subcommand simulate" -l time-zone -d 'Zone in the hello, as free text' -r
complete -c ibga -n "__fish_ibga_using_subcommand simulate" -l step -d 'Go on in the timeline by hand alone, whatever times it has'
complete -c ibga -n "__fish_ibga_using_subcommand simulate" -l list -d 'List the scenarios and end'
complete -c ibga -n "__fish_ibga_using_subcommand simulate" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand demo" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand doctor" -l reader -d 'User whose agent reads the status file, by name or id (repeatable)' -r
complete -c ibga -n "__fish_ibga_using_subcommand doctor" -l host -d 'Host of the gateway\'s API [default: 127.0.0.1]' -r -f -a "(__fish_print_hostnames)"
complete -c ibga -n "__fish_ibga_using_subcommand doctor" -l port -d 'Port of the gateway\'s API [default: 4000]' -r
complete -c ibga -n "__fish_ibga_using_subcommand doctor" -l client-id -d 'First of five API client ids to use, never one of the agent\'s [default: 99]' -r
complete -c ibga -n "__fish_ibga_using_subcommand doctor" -l container -d 'The gateway\'s container [default: auto, the one that publishes the port]' -r -f -a "auto\t'the one that publishes the port'
none\t'ask no container engine'"
complete -c ibga -n "__fish_ibga_using_subcommand doctor" -l timeout -d 'Longest time for the whole probe; waiting for another one comes on top [default: 15s]' -r
complete -c ibga -n "__fish_ibga_using_subcommand doctor" -l settle -d 'How long to wait for late notices after the last answer [default: 50ms]' -r
complete -c ibga -n "__fish_ibga_using_subcommand doctor" -l broker-probe -d 'The question that only the broker can answer; off asks none [default: contract]' -r -f -a "contract\t'details of a contract'
off\t'ask the broker nothing'"
complete -c ibga -n "__fish_ibga_using_subcommand doctor" -l expect-account -d 'Account that the login must hold (repeatable)' -r
complete -c ibga -n "__fish_ibga_using_subcommand doctor" -l expect-mode -d 'What the accounts of the login must be' -r -f -a "paper\t''
live\t''"
complete -c ibga -n "__fish_ibga_using_subcommand doctor" -l config -d 'Configuration file [default: ./ibga.toml, else in ~/.config/ibga or /etc/ibga]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand doctor" -l gateway -d 'Which gateway of the configuration [default: default, or the only one]' -r
complete -c ibga -n "__fish_ibga_using_subcommand doctor" -l status-file -d 'Status file [default: /tmp/ibga-status.json]' -r -F
complete -c ibga -n "__fish_ibga_using_subcommand doctor" -l json -d 'Print JSON'
complete -c ibga -n "__fish_ibga_using_subcommand doctor" -l allow-read-only -d 'Let a read-only API, which refuses orders, pass with a warning'
complete -c ibga -n "__fish_ibga_using_subcommand doctor" -s q -l quiet -d 'Say nothing but faults; go by the exit code'
complete -c ibga -n "__fish_ibga_using_subcommand doctor" -s v -l verbose -d 'Say more: which settings count, how long each stage took'
complete -c ibga -n "__fish_ibga_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand init" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand completions" -s h -l help -d 'Print help'
complete -c ibga -n "__fish_ibga_using_subcommand help; and not __fish_seen_subcommand_from check preflight run wait halt resume status watch calendar schedule alert history simulate demo doctor init completions help" -f -a "check" -d 'Probe the gateway, write the status file, print one line'
complete -c ibga -n "__fish_ibga_using_subcommand help; and not __fish_seen_subcommand_from check preflight run wait halt resume status watch calendar schedule alert history simulate demo doctor init completions help" -f -a "preflight" -d 'Judge the status file and the market: may an agent start now?'
complete -c ibga -n "__fish_ibga_using_subcommand help; and not __fish_seen_subcommand_from check preflight run wait halt resume status watch calendar schedule alert history simulate demo doctor init completions help" -f -a "run" -d 'Start an agent, but only if the gateway is ready and the market open'
complete -c ibga -n "__fish_ibga_using_subcommand help; and not __fish_seen_subcommand_from check preflight run wait halt resume status watch calendar schedule alert history simulate demo doctor init completions help" -f -a "wait" -d 'Wait until the gateway is ready'
complete -c ibga -n "__fish_ibga_using_subcommand help; and not __fish_seen_subcommand_from check preflight run wait halt resume status watch calendar schedule alert history simulate demo doctor init completions help" -f -a "halt" -d 'Let no agent start any more, and stop those that are supervised'
complete -c ibga -n "__fish_ibga_using_subcommand help; and not __fish_seen_subcommand_from check preflight run wait halt resume status watch calendar schedule alert history simulate demo doctor init completions help" -f -a "resume" -d 'End a halt: let agents start again'
complete -c ibga -n "__fish_ibga_using_subcommand help; and not __fish_seen_subcommand_from check preflight run wait halt resume status watch calendar schedule alert history simulate demo doctor init completions help" -f -a "status" -d 'Show the status: stages, age, what to do, next trading session, what is ahead'
complete -c ibga -n "__fish_ibga_using_subcommand help; and not __fish_seen_subcommand_from check preflight run wait halt resume status watch calendar schedule alert history simulate demo doctor init completions help" -f -a "watch" -d 'Stay connected: the status always fresh, a loss known at once'
complete -c ibga -n "__fish_ibga_using_subcommand help; and not __fish_seen_subcommand_from check preflight run wait halt resume status watch calendar schedule alert history simulate demo doctor init completions help" -f -a "calendar" -d 'Show the trading sessions: now and next, a month, or what is known'
complete -c ibga -n "__fish_ibga_using_subcommand help; and not __fish_seen_subcommand_from check preflight run wait halt resume status watch calendar schedule alert history simulate demo doctor init completions help" -f -a "schedule" -d 'Show the schedule of checks and agent runs, or write it for cron or systemd'
complete -c ibga -n "__fish_ibga_using_subcommand help; and not __fish_seen_subcommand_from check preflight run wait halt resume status watch calendar schedule alert history simulate demo doctor init completions help" -f -a "alert" -d 'Try, show and push alerts; acknowledge a problem'
complete -c ibga -n "__fish_ibga_using_subcommand help; and not __fish_seen_subcommand_from check preflight run wait halt resume status watch calendar schedule alert history simulate demo doctor init completions help" -f -a "history" -d 'Show what became of the gateway and what was done about it'
complete -c ibga -n "__fish_ibga_using_subcommand help; and not __fish_seen_subcommand_from check preflight run wait halt resume status watch calendar schedule alert history simulate demo doctor init completions help" -f -a "simulate" -d 'Simulate gateways, healthy or with faults'
complete -c ibga -n "__fish_ibga_using_subcommand help; and not __fish_seen_subcommand_from check preflight run wait halt resume status watch calendar schedule alert history simulate demo doctor init completions help" -f -a "demo" -d 'Show the whole story against a simulated gateway, without an account'
complete -c ibga -n "__fish_ibga_using_subcommand help; and not __fish_seen_subcommand_from check preflight run wait halt resume status watch calendar schedule alert history simulate demo doctor init completions help" -f -a "doctor" -d 'Test every prerequisite, and say how to repair each fault'
complete -c ibga -n "__fish_ibga_using_subcommand help; and not __fish_seen_subcommand_from check preflight run wait halt resume status watch calendar schedule alert history simulate demo doctor init completions help" -f -a "init" -d 'Write a commented configuration file, ibga.toml'
complete -c ibga -n "__fish_ibga_using_subcommand help; and not __fish_seen_subcommand_from check preflight run wait halt resume status watch calendar schedule alert history simulate demo doctor init completions help" -f -a "completions" -d 'Print the completion script of a shell'
complete -c ibga -n "__fish_ibga_using_subcommand help; and not __fish_seen_subcommand_from check preflight run wait halt resume status watch calendar schedule alert history simulate demo doctor init completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ibga -n "__fish_ibga_using_subcommand help; and __fish_seen_subcommand_from schedule" -f -a "next" -d 'Show what will happen when, with IBKR\'s resets and the end of the weekly login between'
complete -c ibga -n "__fish_ibga_using_subcommand help; and __fish_seen_subcommand_from schedule" -f -a "crontab" -d 'Write the schedule as lines of a crontab'
complete -c ibga -n "__fish_ibga_using_subcommand help; and __fish_seen_subcommand_from schedule" -f -a "systemd" -d 'Write the schedule as systemd units'
complete -c ibga -n "__fish_ibga_using_subcommand help; and __fish_seen_subcommand_from alert" -f -a "test" -d 'Send a test message and show what each server answers'
complete -c ibga -n "__fish_ibga_using_subcommand help; and __fish_seen_subcommand_from alert" -f -a "list" -d 'Show what was sent and what waits'
complete -c ibga -n "__fish_ibga_using_subcommand help; and __fish_seen_subcommand_from alert" -f -a "flush" -d 'Send what waits, now'
complete -c ibga -n "__fish_ibga_using_subcommand help; and __fish_seen_subcommand_from alert" -f -a "ack" -d 'Say that the problem is known: no reminders and no escalation until it changes'
complete -c ibga -n "__fish_ibga_using_subcommand calendar" -f -a "XHKG XNYS XNAS XTKS XSHG XSHE XSES XASX XLON XETR stock_connect"
complete -c ibga -n "__fish_ibga_using_subcommand completions" -f -a "bash zsh fish"
