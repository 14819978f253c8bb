"""`hoop exec -e`: no variable by which shells, loaders and tools find other code; harmless ones pass."""

from house.verdict import expect

VALUE = "/tmp/interop-evil"
REFUSED = """
    BASH_ENV BASH_FUNC_ls%% SHELLOPTS BASHOPTS PS4 PROMPT_COMMAND IFS HOME PATH LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT
    GCONV_PATH PYTHONSTARTUP PYTHONPATH PYTHONHOME PYTHONINSPECT PERL5OPT PERL5LIB RUBYOPT RUBYLIB NODE_OPTIONS
    NODE_PATH GIT_SSH GIT_SSH_COMMAND GIT_CONFIG_GLOBAL GIT_EXEC_PATH GIT_EDITOR GIT_PAGER GIT_ASKPASS
    GIT_EXTERNAL_DIFF PAGER LESSOPEN EDITOR VISUAL JAVA_TOOL_OPTIONS PSQLRC
""".split()
HARMLESS = """
    ENV NODE_ENV RAILS_ENV APP_ENV PYTHONUNBUFFERED PYTHONIOENCODING PYTHONDONTWRITEBYTECODE GIT_SHA GIT_BRANCH
    GIT_AUTHOR_NAME TZ LANG LC_ALL DEBUG VERBOSE DRY_RUN BATCH_SIZE LIMIT USER_ID ORDER_ID TENANT REGION VERSION
    START_DATE END_DATE TICKET REASON FORMAT COLUMNS_WANTED PSQL_WATCH_INTERVAL
""".split()


def run(stage):
    # Not a shell: the environment as it was given.
    shell = stage.agent().connection("environment", "custom", command=["/usr/bin/env"])
    passed, unnamed = [], []
    for name in REFUSED:
        _, output, error = stage.user.exec(shell, "-e", f"{name}={VALUE}")
        if f"{name}={VALUE}".encode() in output:
            passed.append(name)
        elif name.encode() not in output + error:
            unnamed.append(name)
    wanted = {f"{name}=staging-{name}" for name in HARMLESS}
    words = [word for setting in sorted(wanted) for word in ("-e", setting)]
    code, output, error = stage.user.exec(shell, *words)
    missing = wanted - set(output.decode(errors="replace").splitlines())
    expect(not missing, f"harmless, and did not pass (exit code {code}): {sorted(missing)} {error[-200:]!r}")
    expect(not passed, f"{len(passed)} of {len(REFUSED)} pass: {' '.join(passed)}")
    expect(not unnamed, f"refused without their name: {' '.join(unnamed)}")
