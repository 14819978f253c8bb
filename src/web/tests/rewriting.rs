//! Heads, both ways: what goes, what comes in its place, what stays to the byte.

use super::*;

fn asked(variables: &[(&str, &str)], request: &str) -> String {
    let variables = [&[("REMOTE_URL", "http://app:3000/base")], variables].concat();
    let mut lab = Lab::with(&variables, "http://127.0.0.1:8081");
    lab.user(request);
    lab.asked()
}

#[test]
fn targets_stay_bytes_behind_the_path_of_the_service() {
    for (target, sent) in [
        ("/", "/base/"),
        ("//x", "/base//x"),
        (
            "/a%2Fb;c=../d?e=http://f/%00",
            "/base/a%2Fb;c=../d?e=http://f/%00",
        ),
        ("/\u{e4}", "/base/\u{e4}"),
        ("*", "/base*"),
        ("http://other/x?y", "/base/x?y"),
        ("http://other", "/base/"),
    ] {
        let request = format!("OPTIONS {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let expected = match target {
            "*" => "OPTIONS * HTTP/1.1\r\n".to_owned(),
            _ => format!("OPTIONS {sent} HTTP/1.1\r\n"),
        };
        assert!(asked(&[], &request).starts_with(&expected), "{target}");
    }
}

#[test]
fn fields_keep_their_order_their_case_and_their_number() {
    let fields = "X-b: 1\r\naccept-encoding: br\r\nX-B: 2\r\nx-utf: \u{e4}\r\n";
    let sent = asked(&[], &get("/", fields));
    assert_eq!(
        sent,
        format!("GET /base/ HTTP/1.1\r\nHost: app:3000\r\n{fields}\r\n")
    );
}

#[test]
fn fields_of_the_connection_go_no_further() {
    let fields = "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\n\
                  Proxy-Authorization: x\r\nTE: trailers\r\nTrailer: x\r\nProxy: x\r\nHTTP2-Settings: x\r\n\
                  Upgrade: websocket\r\nExpect: x\r\nX-Stays: 1\r\n";
    assert_eq!(
        asked(&[], &get("/", fields)),
        "GET /base/ HTTP/1.1\r\nHost: app:3000\r\nX-Stays: 1\r\n\r\n"
    );
}

#[test]
fn the_users_key_to_the_gateway_stays_with_us() {
    for (cookie, sent) in [
        ("a=b; hoop_proxy_token=secret; c=d", "Cookie: a=b; c=d\r\n"),
        ("hoop_proxy_token=secret", ""),
        ("HOOP_proxy_token =\"secret\" ;", ""),
        ("a=hoop_proxy_token", "Cookie: a=hoop_proxy_token\r\n"),
        ("a=b;c=d", "Cookie: a=b;c=d\r\n"),
    ] {
        let sent = format!("GET /base/ HTTP/1.1\r\nHost: app:3000\r\n{sent}\r\n");
        assert_eq!(
            asked(&[], &get("/", &format!("Cookie: {cookie}\r\n"))),
            sent
        );
    }
}

#[test]
fn injected_headers_take_the_place_of_the_users() {
    let variables = [
        ("HEADER_X_USER", "ops"),
        ("HEADER_AUTHORIZATION", "Bearer t"),
        ("HEADER_HOST", "virtual"),
        ("HEADER_COOKIE", "c=1"),
    ];
    let fields = "x-user: root\r\nX_User: root\r\nAuthorization: Basic x\r\nCookie: hoop_proxy_token=s\r\nCookie: x\r\n";
    assert_eq!(
        asked(&variables, &get("/", fields)),
        "GET /base/ HTTP/1.1\r\nHost: virtual\r\nAUTHORIZATION: Bearer t\r\nCOOKIE: c=1\r\nX-USER: ops\r\n\r\n"
            .replace("AUTHORIZATION: Bearer t\r\nCOOKIE: c=1\r\nX-USER: ops\r\n", "X-USER: ops\r\nAUTHORIZATION: Bearer t\r\nCOOKIE: c=1\r\n")
    );
}

#[test]
fn a_user_brings_his_own_authorization_where_he_may() {
    let brings = get(
        "/",
        "X-Hoop-Upstream-Authorization: mine\r\nAuthorization: no\r\n",
    );
    let given = ("HEADER_AUTHORIZATION", "ours");
    let allowed = asked(&[given, ("ALLOW_CLIENT_AUTHORIZATION", "true")], &brings);
    assert_eq!(
        allowed,
        "GET /base/ HTTP/1.1\r\nHost: app:3000\r\nAuthorization: mine\r\n\r\n"
    );
    let absent = asked(
        &[given, ("ALLOW_CLIENT_AUTHORIZATION", "true")],
        &get("/", ""),
    );
    assert!(absent.contains("AUTHORIZATION: ours\r\n"));
    let forbidden = asked(&[given], &brings);
    assert!(forbidden.contains("X-Hoop-Upstream-Authorization: mine\r\nAUTHORIZATION: ours\r\n"));
    let twice = get(
        "/",
        "X-Hoop-Upstream-Authorization: a\r\nX-Hoop-Upstream-Authorization: b\r\n",
    );
    assert_eq!(asked(&[("ALLOW_CLIENT_AUTHORIZATION", "true")], &twice), "");
}

/// The flag counts as it is when a request comes, not as it was when the session was opened.
#[test]
fn a_users_own_authorization_needs_the_gateways_flag_at_each_request() {
    let variables = [
        ("REMOTE_URL", "http://app:3000"),
        ("ALLOW_CLIENT_AUTHORIZATION", "true"),
        ("HEADER_AUTHORIZATION", "ours"),
    ];
    let mut lab = Lab::with(&variables, "http://127.0.0.1:8081");
    let brings = get("/", "X-Hoop-Upstream-Authorization: mine\r\n");
    lab.features = Features::default();
    lab.user(&brings).service(OK);
    lab.features.client_authorization = true;
    lab.user(&brings).service(OK);
    assert_eq!(
        lab.asked(),
        "GET / HTTP/1.1\r\nHost: app:3000\r\nX-Hoop-Upstream-Authorization: mine\r\nAUTHORIZATION: ours\r\n\r\n\
         GET / HTTP/1.1\r\nHost: app:3000\r\nAuthorization: mine\r\n\r\n"
    );
}

/// Kubernetes replaces the token of a pod under way, and a user's connection may last for hours.
#[test]
fn each_request_brings_the_pods_token_of_its_time() {
    let cluster = Wanted::of_texts(&[], Cluster::of);
    let mut lab = Lab::client();
    lab.site = cluster.expect("a pod needs no variable").site;
    let asks = get("/api", "Authorization: Bearer noop\r\n");
    lab.user(&asks).service(OK);
    lab.pods_token = b"Bearer new";
    lab.user(&asks).service(OK);
    let host = "GET /api HTTP/1.1\r\nHost: kubernetes.default.svc.cluster.local\r\n";
    assert_eq!(lab.sent.len(), 1, "on one connection");
    assert_eq!(
        lab.asked(),
        format!("{host}Authorization: Bearer pod\r\n\r\n{host}Authorization: Bearer new\r\n\r\n")
    );
    lab.user("TRACE / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(lab.answer().contains("405 Method Not Allowed"));
}

/// A page of the internet whose name was pointed at the user's machine (DNS rebinding) must not use his port.
#[test]
fn a_name_that_anybody_can_have_opens_no_port_of_a_client() {
    let asks = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for base_url in ["http://127.0.0.1:8081", "http://web.hoop"] {
        let mut lab = Lab::new("http://app:3000", base_url);
        lab.user(asks("evil.example:8081"));
        assert!(lab.answer().starts_with("HTTP/1.1 403 Forbidden\r\n"));
        assert!(lab.sent.is_empty() && lab.finished == Some((true, false)));
        // A proxy is asked for any URL, and by name for the service itself.
        for fine in [
            "GET http://any.example/ HTTP/1.1\r\nHost: any.example\r\n\r\n".to_owned(),
            asks("app:8081"),
        ] {
            let mut lab = Lab::new("http://app:3000", base_url);
            lab.user(fine);
            assert_eq!(lab.sent.len(), 1, "{base_url}");
        }
    }
    let mut lab = Lab::listener();
    lab.user(asks("evil.example"));
    assert_eq!(
        lab.sent.len(),
        1,
        "the gateway knows its users by their keys"
    );
}

#[test]
fn urls_of_the_users_view_become_the_services() {
    for (fields, sent) in [
        (
            "Origin: http://127.0.0.1:8081\r\n",
            "Origin: http://app:3000\r\n",
        ),
        (
            "Origin: http://localhost:8081\r\n",
            "Origin: http://app:3000\r\n",
        ),
        (
            "Referer: http://127.0.0.1:8081/x?y\r\n",
            "Referer: http://app:3000/base/x?y\r\n",
        ),
        (
            "Destination: http://127.0.0.1:8081/x\r\n",
            "Destination: http://app:3000/base/x\r\n",
        ),
        ("Origin: http://evil.com\r\n", "Origin: http://evil.com\r\n"),
        ("Origin: null\r\n", "Origin: null\r\n"),
        (
            "Referer: http://127.0.0.1:8081.evil.com/\r\n",
            "Referer: http://127.0.0.1:8081.evil.com/\r\n",
        ),
    ] {
        let sent = format!("GET /base/ HTTP/1.1\r\nHost: app:3000\r\n{sent}\r\n");
        assert_eq!(asked(&[], &get("/", fields)), sent);
    }
}

#[test]
fn what_is_no_request_to_a_service_is_refused_with_a_sentence() {
    for (request, status, words) in [
        (
            "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n",
            405,
            "makes no tunnels",
        ),
        (
            "CONNECT / HTTP/1.1\r\nHost: h\r\n\r\n",
            405,
            "makes no tunnels",
        ),
        ("PRI * HTTP/2.0\r\n\r\n", 505, "HTTP/1.1"),
        ("GET / HTTP/0.9\r\nHost: h\r\n\r\n", 505, "HTTP/1.1"),
        ("GET / HTTP/9.9\r\nHost: h\r\n\r\n", 505, "HTTP/1.1"),
        ("GET / HTTP/2.1\r\nHost: h\r\n\r\n", 505, "HTTP/1.1"),
        (
            "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
            400,
            "well-formed",
        ),
        (
            "GET http://h?x HTTP/1.1\r\nHost: h\r\n\r\n",
            400,
            "well-formed",
        ),
        ("GET / HTTP/1.1\r\n\r\n", 400, "well-formed"),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            400,
            "well-formed",
        ),
        ("GET /  HTTP/1.1\r\nHost: h\r\n\r\n", 400, "well-formed"),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            "where the body",
        ),
    ] {
        let mut lab = Lab::client();
        lab.user(request);
        let answer = lab.answer();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(words),
            "{request}: {answer}"
        );
        assert!(lab.sent.is_empty() && lab.finished == Some((true, false)));
    }
}

#[test]
fn trace_does_not_show_what_was_injected() {
    let trace = "TRACE / HTTP/1.1\r\nHost: h\r\n\r\n";
    assert!(asked(&[], trace).starts_with("TRACE /base/ "));
    assert_eq!(asked(&[("HEADER_X", "s3cret")], trace), "");
}

fn answered(remote_url: &str, base_url: &str, host: &str, fields: &str) -> String {
    let mut lab = Lab::new(remote_url, base_url);
    lab.user(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    lab.service(format!(
        "HTTP/1.1 302 Found\r\n{fields}Content-Length: 0\r\n\r\n"
    ));
    let answer = lab.answer();
    let fields = answer.strip_prefix("HTTP/1.1 302 Found\r\n").unwrap();
    fields
        .strip_suffix("Content-Length: 0\r\n\r\n")
        .unwrap()
        .to_owned()
}

#[test]
fn redirects_lead_back_to_where_the_user_is() {
    for (host, location, seen) in [
        (
            "127.0.0.1:8081",
            "http://app:3000/x",
            "http://127.0.0.1:8081/x",
        ),
        (
            "localhost:8081",
            "http://app:3000/x",
            "http://localhost:8081/x",
        ),
        ("another", "http://app:3000/x", "http://127.0.0.1:8081/x"),
        (
            "127.0.0.1:8081",
            "http://elsewhere/?u=http://app:3000",
            "http://elsewhere/?u=http://app:3000",
        ),
        ("127.0.0.1:8081", "/x", "/x"),
    ] {
        let fields = answered(
            "http://app:3000",
            "http://127.0.0.1:8081",
            host,
            &format!("Location: {location}\r\n"),
        );
        assert_eq!(fields, format!("Location: {seen}\r\n"));
    }
    let fields = answered(
        "http://app",
        "https://hoop.example",
        "x",
        "location: http://app/\r\nContent-Location: http://app/b\r\n",
    );
    assert_eq!(
        fields,
        "location: https://hoop.example/\r\nContent-Location: https://hoop.example/b\r\n"
    );
}

#[test]
fn cookies_are_for_where_the_user_is() {
    for (base_url, cookie, seen) in [
        (
            "https://hoop.example",
            "a=b; Domain=app; Path=/base/x; Secure; SameSite=None",
            Some("a=b; Path=/x; Secure; SameSite=None"),
        ),
        (
            "https://hoop.example",
            "a=b; path=/base",
            Some("a=b; Path=/"),
        ),
        (
            "https://hoop.example",
            "a=b; Path=/other",
            Some("a=b; Path=/other"),
        ),
        (
            "http://127.0.0.1:8081",
            "a=b;Secure;HttpOnly; samesite=none ;Partitioned",
            Some("a=b;HttpOnly"),
        ),
        (
            "http://127.0.0.1:8081",
            "a=b; SameSite=Lax; DOMAIN=.app",
            Some("a=b; SameSite=Lax"),
        ),
        ("https://hoop.example", "hoop_proxy_token=x; Path=/", None),
    ] {
        let fields = answered(
            "https://app/base",
            base_url,
            "h",
            &format!("Set-Cookie: {cookie}\r\nSet-Cookie: z=1\r\n"),
        );
        let seen = seen
            .map(|seen| format!("Set-Cookie: {seen}\r\n"))
            .unwrap_or_default();
        assert_eq!(fields, format!("{seen}Set-Cookie: z=1\r\n"));
    }
}

#[test]
fn a_client_is_told_of_other_protocols() {
    let mut lab = Lab::client();
    lab.user(get("/", "")).service("HTTP/1.1 426 Upgrade Required\r\nUpgrade: foo\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(
        lab.answer(),
        "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\n"
    );
}
