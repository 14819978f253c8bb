//! The variables by which a client would make another program of its connection's command.
//!
//! The one table, by class. A name is here when its value is code, or says where to find code, or
//! which program to start, for a program that others than its users choose, or where such a program goes with
//! the connection's credentials. What only changes how a program talks (`NODE_ENV`, `PYTHONUNBUFFERED`, `TZ`, `LC_ALL`) is not.

use crate::base::client_env::{ClientEnv, matches};

struct Class {
    /// What is to be feared of them.
    why: &'static str,
    /// Names, and beginnings of names, with spaces between.
    names: &'static str,
}

const OF_SHELLS: &str = "since shells take code from it";

const CLASSES: [Class; 5] = [
    Class {
        why: "since loaders take code from it",
        names: "LD_* DYLD_* GLIBC_TUNABLES GCONV_PATH LOCPATH NLSPATH MALLOC_TRACE MUSL_LOCPATH \
                HOSTALIASES RESOLV_HOST_CONF GETCONF_DIR OPENSSL_CONF OPENSSL_MODULES \
                OPENSSL_ENGINES GIO_* GTK_* QT_* XDG_CONFIG_* XDG_DATA_* TERMINFO* TERMCAP",
    },
    Class {
        why: OF_SHELLS,
        names: "PATH HOME SHELL IFS CDPATH BASH_* BASHOPTS SHELLOPTS PS0 PS1 PS2 PS4 \
                PROMPT_COMMAND EXECIGNORE INPUTRC HISTFILE MAIL MAILPATH FCEDIT ZDOTDIR FPATH \
                fish_* PSModulePath",
    },
    Class {
        why: "since interpreters take code from it",
        names: "PYTHONSTARTUP PYTHONPATH PYTHONHOME PYTHONINSPECT PYTHONUSERBASE \
                PYTHONEXECUTABLE PYTHONPLATLIBDIR PYTHONBREAKPOINT PYTHONWARNINGS \
                PYTHONPYCACHEPREFIX IPYTHON* JUPYTER_* PIP_* PERL5OPT PERL5LIB PERL5DB \
                PERL5SHELL PERLLIB RUBYOPT RUBYLIB RUBYSHELL RUBYPATH GEM_* BUNDLE_* \
                NODE_OPTIONS NODE_PATH NODE_REPL_EXTERNAL_MODULE NPM_CONFIG_* npm_config_* \
                JAVA_TOOL_OPTIONS _JAVA_OPTIONS JDK_JAVA_OPTIONS JAVA_OPTS JAVA_HOME CLASSPATH \
                MAVEN_* GRADLE_* CATALINA_* LUA_* PHPRC PHP_INI_SCAN_DIR TCLLIBPATH TCL_LIBRARY \
                BUN_OPTIONS COMPOSER_HOME IRBRC PRYRC BOOTSNAP_CACHE_DIR CAML_LD_LIBRARY_PATH \
                R_PROFILE* R_ENVIRON* R_LIBS* R_HOME JULIA_* ERL_* ELIXIR_ERL_OPTIONS GUILE_* \
                AWKPATH AWKLIBPATH DOTNET_* CORECLR_* COR_* MONO_*",
    },
    Class {
        why: "since tools take code from it",
        names: "GIT_SSH* GIT_CONFIG* GIT_EXEC_PATH GIT_EDITOR GIT_SEQUENCE_EDITOR GIT_PAGER \
                GIT_ASKPASS GIT_EXTERNAL_DIFF GIT_PROXY_COMMAND GIT_TEMPLATE_DIR GIT_DIR \
                GIT_COMMON_DIR GIT_WORK_TREE GIT_OBJECT_DIRECTORY GIT_ATTR* GH_* HGRCPATH \
                HGEDITOR SVN_SSH SVN_EDITOR CVS_RSH RSYNC_* SSH_ASKPASS* SUDO_* PAGER MANPAGER \
                MANOPT MANPATH PSQL_PAGER PSQL_EDITOR* PSQLRC PGSYSCONFDIR SYSTEMD_* LESS* MORE \
                BAT_* EDITOR VISUAL BROWSER VIM* MYVIMRC EXINIT GVIMINIT NVIM_* EMACS* \
                SCREENRC SYSSCREENRC MYSQL_HOME MYSQL_GROUP_SUFFIX LIBMYSQL_* SQLCMDINI \
                SQLCMDEDITOR ORACLE_* SQLPATH TNS_ADMIN REDISCLI_RCFILE KUBECONFIG KUBECTL_* \
                KUBE_EDITOR HELM_* DOCKER_CONFIG AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE \
                AWS_PAGER CLOUDSDK_* AZURE_CONFIG_DIR AZURE_EXTENSION_DIR TF_CLI_* \
                TF_PLUGIN_CACHE_DIR ANSIBLE_* CURL_HOME WGETRC SYSTEM_WGETRC MAKEFLAGS \
                MAKEFILES MAKESHELL GNUMAKEFLAGS CC CXX GCC_EXEC_PREFIX COMPILER_PATH CARGO_* \
                RUSTC* RUSTFLAGS GOFLAGS GOROOT GOENV GOTOOLDIR CCACHE_* TAR_OPTIONS ZIPOPT \
                GNUPGHOME FZF_* RIPGREP_CONFIG_PATH ACK_OPTIONS ACKRC VALGRIND_* PKG_CONFIG* \
                MARIADB_HOME MARIADB_PLUGIN_DIR BORG_RSH ODBC* SASL_PATH SASL_CONF_PATH SSH_SK_PROVIDER \
                OPENSC_CONF DELTA_PAGER USQL_PAGER RLWRAP_EDITOR PARALLEL_SHELL",
    },
    Class {
        why: "since programs would take the connection's credentials elsewhere by it",
        names: "PGHOSTADDR PGSERVICE PGSERVICEFILE FREETDS* TDSDUMP* VAULT_ADDR AWS_ENDPOINT_URL*",
    },
];

/// What an interactive `sh` reads at its start; to programs without a terminal it is any name.
pub(super) const CONSOLE_ONLY: &str = "ENV";

/// The sentence for a client that sets `name`, or `None` when it may.
pub(super) fn refusal(policy: &ClientEnv, name: &str, is_console: bool) -> Option<String> {
    let is_listed = match policy {
        ClientEnv::Default => false,
        ClientEnv::None => return Some(sentence(name, "this agent takes none from clients")),
        ClientEnv::Names(names) => {
            if !names.iter().any(|pattern| matches(pattern, name)) {
                return Some(sentence(name, "this agent takes only those that it lists"));
            }
            names.iter().any(|listed| listed == name)
        }
    };
    // Who wrote it out means it.
    if is_listed {
        return None;
    }
    let why = match name {
        CONSOLE_ONLY if is_console => OF_SHELLS,
        _ => class(name)?,
    };
    Some(sentence(name, why))
}

fn class(name: &str) -> Option<&'static str> {
    let holds = |class: &&Class| {
        let mut names = class.names.split_ascii_whitespace();
        names.any(|pattern| matches(pattern, name))
    };
    CLASSES.iter().find(holds).map(|class| class.why)
}

fn sentence(name: &str, why: &str) -> String {
    format!(
        "environment variable \"{name}\" can not be set by a client, {why}: set it in the \
         connection, or let HOOP_LITE_CLIENT_ENV of the agent name it"
    )
}

/// Variables by which a connection asks for a cluster's token. A client's of these names count nowhere.
const CLUSTER_NAMES: [&str; 5] = [
    "EKS_CLUSTER",
    "EKS_AWS_REGION",
    "EKS_ROLE_ARN",
    "EKS_ROLE_SESSION",
    "EKS_BINDING_USER_ROLE",
];

/// A client's variable of this name is passed over.
pub(super) fn is_for_tokens(name: &str) -> bool {
    CLUSTER_NAMES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, is_console: bool) -> Option<String> {
        refusal(&ClientEnv::Default, name, is_console)
    }

    /// Names of the public reports and the ones that their programs have beside them.
    const DANGEROUS: &str = "BASH_ENV BASH_FUNC_ls%% SHELLOPTS BASHOPTS PS4 PROMPT_COMMAND IFS HOME PATH \
        LD_PRELOAD LD_AUDIT LD_LIBRARY_PATH DYLD_INSERT_LIBRARIES GLIBC_TUNABLES GCONV_PATH PYTHONSTARTUP PYTHONPATH \
        PYTHONHOME PYTHONINSPECT PYTHONWARNINGS PERL5OPT PERL5LIB PERL5DB RUBYOPT RUBYLIB NODE_OPTIONS NODE_PATH \
        GIT_SSH GIT_SSH_COMMAND GIT_CONFIG_COUNT GIT_CONFIG_KEY_0 GIT_CONFIG_GLOBAL GIT_EXEC_PATH GIT_EDITOR GIT_PAGER \
        GIT_ASKPASS GIT_EXTERNAL_DIFF GIT_SEQUENCE_EDITOR GIT_DIR PAGER LESSOPEN LESSCLOSE LESS EDITOR VISUAL \
        JAVA_TOOL_OPTIONS _JAVA_OPTIONS JDK_JAVA_OPTIONS PSQLRC PSQL_PAGER PSQL_EDITOR MANPAGER SYSTEMD_PAGER \
        SSH_ASKPASS KUBECONFIG KUBECTL_EXTERNAL_DIFF AWS_CONFIG_FILE VIMINIT ZDOTDIR XDG_CONFIG_HOME LUA_INIT PHPRC \
        DOTNET_STARTUP_HOOKS OPENSSL_CONF MARIADB_HOME ODBCINI IRBRC";

    /// What `hoop exec -e` is used for.
    const HARMLESS: [&str; 36] = [
        "ENV",
        "NODE_ENV",
        "PYTHONUNBUFFERED",
        "PYTHONIOENCODING",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONHASHSEED",
        "GIT_SHA",
        "GIT_COMMIT",
        "GIT_BRANCH",
        "GIT_AUTHOR_NAME",
        "RAILS_ENV",
        "RACK_ENV",
        "APP_ENV",
        "DEBUG",
        "LOG_LEVEL",
        "TZ",
        "LANG",
        "LC_ALL",
        "TERM",
        "COLUMNS",
        "NO_COLOR",
        "CI",
        "BUILD_ID",
        "VERSION",
        "REGION",
        "AWS_REGION",
        "AWS_PROFILE",
        "DATABASE",
        "PGOPTIONS",
        "PGDATABASE",
        "DJANGO_SETTINGS_MODULE",
        "JAVA_VERSION",
        "HTTP_PROXY",
        "TICKET",
        "PATHS",
        "HOMEPAGE",
    ];

    #[test]
    fn names_by_which_programs_find_code_are_refused_in_one_sentence() {
        for name in DANGEROUS.split_ascii_whitespace() {
            let text = refused(name, false).unwrap_or_else(|| panic!("{name} passes"));
            assert!(
                text.contains(name) && text.contains("take code from it"),
                "{text}"
            );
        }
        assert!(refused("ENV", true).is_some_and(|text| text.contains("shells")));
        for name in ["PGHOSTADDR", "PGSERVICEFILE", "AWS_ENDPOINT_URL_STS"] {
            assert!(
                refused(name, false).is_some_and(|text| text.contains("elsewhere")),
                "{name}"
            );
        }
    }

    #[test]
    fn harmless_names_pass() {
        for name in HARMLESS {
            assert_eq!(refused(name, false), None, "{name}");
            assert_eq!(refused(name, true).is_some(), name == "ENV", "{name}");
        }
    }

    #[test]
    fn an_operator_may_take_none_or_a_list() {
        assert!(refusal(&ClientEnv::None, "TZ", false).is_some());
        let policy = ClientEnv::parse("APP_*,GIT_*,EDITOR").unwrap();
        for (name, passes) in [
            ("APP_MODE", true),
            ("GIT_SHA", true),
            ("GIT_SSH_COMMAND", false),
            ("EDITOR", true),
            ("TZ", false),
        ] {
            assert_eq!(refusal(&policy, name, false).is_none(), passes, "{name}");
        }
    }
}
