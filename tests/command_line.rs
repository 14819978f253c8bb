//! The real binary: exit codes, and what goes to which stream.

#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

fn hoop_lite(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hoop-lite"))
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn help_and_version_go_to_standard_output_and_succeed() {
    for arguments in [
        &["help"][..],
        &["--help"],
        &["run", "-h"],
        &["version"],
        &["-V"],
    ] {
        let output = hoop_lite(arguments, &[]);
        assert_eq!(code(&output), 0);
        assert!(!output.stdout.is_empty() && output.stderr.is_empty());
    }
}

#[test]
fn usage_errors_go_to_standard_error_with_status_2() {
    for arguments in [
        &["docter"][..],
        &["--stall-max", "soon"],
        &["admin"],
        &["--key", "x"],
    ] {
        let output = hoop_lite(arguments, &[]);
        assert_eq!(code(&output), 2);
        assert!(output.stdout.is_empty() && output.stderr.starts_with(b"hoop-lite: "));
    }
}

#[test]
fn usage_errors_name_the_help_that_would_have_told() {
    let output = hoop_lite(&["admin", "create", "agent"], &[]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("`hoop-lite help admin create agent`"),
        "{text}"
    );
    let output = hoop_lite(&["docter"], &[]);
    assert!(output.stderr.ends_with(b"Try `hoop-lite help`.\n"));
}

#[test]
fn a_program_that_can_not_run_is_named_with_what_to_check() {
    let variables = [
        ("HOOP_KEY", "grpcs://dev:xagt-S3cr3t@127.0.0.1:1"),
        ("PATH", "/bin"),
    ];
    let output = hoop_lite(&["run", "--", "no-such-program"], &variables);
    assert_eq!(code(&output), 127);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("can not run no-such-program: executable file not found; check"),
        "{text}"
    );
}

#[test]
fn wrong_variables_end_with_status_2_and_files_with_1_and_no_key_is_shown() {
    for (variables, status, text) in [
        (&[][..], 2, "missing HOOP_KEY environment variable"),
        (
            &[("HOOP_KEY", "grpcs://dev:xagt-S3cr3t@gw")],
            2,
            "server address is in wrong format",
        ),
        (
            &[("HOOP_KEY", "grpsc://dev:xagt-S3cr3t@gw:1")],
            2,
            "unknown scheme grpsc://",
        ),
        (
            &[("HOOP_KEY_FILE", "/nonexistent/key")],
            1,
            "failed reading HOOP_KEY_FILE",
        ),
        (
            &[
                ("HOOP_KEY", "grpcs://d:xagt-S3cr3t@gw:1"),
                ("HOOP_TLSCA", "/etc/ssl/ca.pem"),
            ],
            2,
            "write file:// in front of it",
        ),
        (
            &[
                ("HOOP_KEY", "grpcs://d:xagt-S3cr3t@gw:1"),
                ("HOOP_LITE_STALL_MAX", "x"),
            ],
            2,
            "HOOP_LITE_STALL_MAX (--stall-max) wants a duration",
        ),
    ] {
        let output = hoop_lite(&["start", "agent"], variables);
        let errors = String::from_utf8(output.stderr.clone()).unwrap();
        assert_eq!(code(&output), status, "{errors}");
        assert!(
            output.stdout.is_empty() && errors.contains(text),
            "{errors}"
        );
        assert!(!errors.contains("S3cr3t"), "{errors}");
    }
}

#[test]
fn the_version_names_what_it_was_built_from_and_for() {
    let output = hoop_lite(&["version", "-o", "json"], &[]);
    let version: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for key in ["version", "commit", "target"] {
        assert!(
            version[key].as_str().is_some_and(|text| !text.is_empty()),
            "{version}"
        );
    }
}

#[test]
fn health_without_an_agent_says_what_is_missing() {
    let output = hoop_lite(&["health"], &[]);
    assert_eq!(code(&output), 1);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("set HOOP_LITE_HEALTH_LISTEN"), "{text}");
    let output = hoop_lite(&["health"], &[("HOOP_LITE_HEALTH_LISTEN", "nowhere")]);
    assert_eq!(code(&output), 2);
    let output = hoop_lite(&["health", "readyz"], &[("HOOP_LITE_HEALTH_LISTEN", "1")]);
    assert_eq!(code(&output), 1);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("no answer from 127.0.0.1:1"), "{text}");
}

#[test]
fn doctor_names_a_misspelt_setting_and_a_service_that_is_not_there() {
    let variables = [
        ("HOOP_KEY", "grpc://d:xagt-S3cr3t@127.0.0.1:1"),
        ("HOOP_LITE_STAL_MAX", "3s"),
    ];
    let output = hoop_lite(&["doctor"], &variables);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("did you mean HOOP_LITE_STALL_MAX?"), "{text}");
    if !std::path::Path::new("/etc/hoop-lite/env").exists() {
        let output = hoop_lite(&["doctor", "--service"], &variables);
        assert_eq!(code(&output), 1);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("no service is installed here"), "{text}");
    }
}
