//! The layers, and the form of single values. What the values mean is tested where `app` makes parts of them.

use super::*;

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn load_from(text: &str, pairs: &[(&str, &str)], flags: &Overrides) -> Result<Loaded, Complaints> {
    load(Sources { file: Some(file(text).path()), environment: &environment(pairs), flags }, |_, _| ())
}

#[test]
fn the_defaults_are_good() {
    let settings = load_from("", &[], &vec![]).unwrap().settings;
    assert_eq!(settings.http.addr.to_string(), "127.0.0.1:8080");
    assert!(matches!(settings.redis.source, RedisSource::Embedded { .. }));
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let file = "[http]\naddr = \"127.0.0.1:1\"\nworkers = 1\n[sale]\nhold_seconds = 7\n";
    let pairs = [("FLASHSALE_HTTP__ADDR", "127.0.0.1:2"), ("FLASHSALE_HTTP__WORKERS", "3")];
    let settings = load_from(file, &pairs, &vec![("http.addr", "127.0.0.1:4".to_owned())]).unwrap().settings;
    assert_eq!(settings.http.addr.port(), 4);
    assert_eq!(settings.http.workers, 3);
    assert_eq!(settings.sale.hold_seconds, 7);
}

#[test]
fn all_complaints_are_made_together() {
    let file = "[http]\nadr = 1\n[sale]\nhold_seconds = 0\n";
    let pairs = [("FLASHSALE_REDIS__MODE", "memory"), ("FLASHSALE_NOISE", "1")];
    let flags = vec![("http.addr", "here".to_owned())];
    let Err(Complaints(complaints)) = load_from(file, &pairs, &flags) else { panic!("all of it was taken") };
    for key in ["http.adr", "noise", "redis.mode", "http.addr", "sale.hold_seconds"] {
        assert!(complaints.iter().any(|c| c.starts_with(key)), "{key} is missing in {complaints:?}");
    }
    assert_eq!(complaints.len(), 5);
}

#[test]
fn a_whole_number_is_written_in_digits_alone() {
    for text in ["+5", "1e3", "5.00000000000000000001", "-0.0", "0x10"] {
        let refused = load_from("", &[("FLASHSALE_HTTP__BACKLOG", text)], &vec![]);
        assert!(refused.is_err_and(|Complaints(all)| all[0].starts_with("http.backlog must be a whole")), "{text}");
    }
    for (text, read) in [("5", 5), ("5.0", 5), ("007", 7)] {
        let loaded = load_from("", &[("FLASHSALE_HTTP__BACKLOG", text)], &vec![]).unwrap();
        assert_eq!(loaded.settings.http.backlog, read, "{text}");
    }
}

#[test]
fn the_check_of_the_caller_adds_to_the_complaints() {
    let none = file("");
    let pairs = environment(&[("FLASHSALE_HTTP__WORKERS", "many")]);
    let sources = Sources { file: Some(none.path()), environment: &pairs, flags: &vec![] };
    let Err(Complaints(complaints)) = load(sources, |_, complaints| complaints.add("redis.url", "is odd")) else {
        panic!("both were taken")
    };
    assert_eq!(complaints, ["http.workers must be a whole number from 0 to 512", "redis.url is odd"]);
}

#[test]
fn a_file_that_is_no_toml_is_a_complaint_that_quotes_no_line_of_it() {
    for text in ["[admin]\ntoken = \"hunter2", "[admin]\ntoken = hunter2", "[admin]\ntoken \"hunter2\"\n", "hunter2"] {
        let Err(Complaints(complaints)) = load_from(text, &[], &vec![]) else { panic!("{text} was taken") };
        assert!(complaints.concat().contains("line") && !complaints.concat().contains("hunter2"), "{complaints:?}");
    }
}

#[test]
fn a_redis_url_makes_it_standalone_and_secrets_are_never_printed() {
    let pairs = [
        ("REDIS_URL", "redis://user:hunter2@127.0.0.1:1"),
        ("FLASHSALE_WEBHOOK__SECRETS", "whsec_hunter2, whsec_hunter3"),
        ("FLASHSALE_ADMIN__TOKEN", "hunter2hunter2hunter2"),
        ("FLASHSALE_HTTP__API_KEYS", "hunter2hunter2hunter2"),
    ];
    let loaded = load_from("", &pairs, &vec![]).unwrap();
    assert!(matches!(loaded.settings.redis.source, RedisSource::Standalone { .. }));
    assert_eq!(loaded.settings.webhook.secrets_of("webhook.secrets").len(), 2);
    let printed = loaded.render() + &format!("{:?}", loaded.settings);
    assert!(!printed.contains("hunter"), "{printed}");
    assert!(printed.contains("redis://[hidden]@127.0.0.1:1"), "where Redis is may be seen: {printed}");
    assert!(printed.contains("api_keys = [\"[hidden]\"]\n"), "a list is printed as a list: {printed}");
}

#[test]
fn what_is_printed_can_be_read_again() {
    let pairs = [
        ("FLASHSALE_HTTP__WORKERS", "3"),
        ("FLASHSALE_HTTP__TRUSTED_PROXIES", "10.0.0.0/8,::1"),
        ("FLASHSALE_HTTP__RATE_LIMIT_PER_SECOND", "0.25"),
        ("FLASHSALE_WEBHOOK__ALLOW_UNSIGNED", "True"),
        ("FLASHSALE_REDIS__DATA_DIR", "5"),
    ];
    let printed = load_from("", &pairs, &vec![]).unwrap().render();
    for line in [
        "workers = 3",
        "trusted_proxies = [\"10.0.0.0/8\", \"::1\"]",
        "rate_limit_per_second = 0.25",
        "allow_unsigned = true",
        "data_dir = \"5\"",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line} in {printed}");
    }
    let again = load_from(&printed, &[], &vec![]).unwrap().settings;
    assert_eq!((again.http.workers, again.http.trusted_proxies.len()), (3, 2));
    assert_eq!(again.http.rate_limit_per_second, Some(0.25));
    assert!(again.webhook.allow_unsigned);
}

#[test]
fn a_setting_is_given_by_any_place_but_the_defaults_even_with_the_default_value() {
    let name = "webhook.allow_unsigned";
    let flags = vec![(name, "false".to_owned())];
    for (file, pairs, flags, is_given) in [
        ("", &[][..], &vec![], false),
        ("[webhook]\nallow_unsigned = false\n", &[], &vec![], true),
        ("", &[("FLASHSALE_WEBHOOK__ALLOW_UNSIGNED", "false")], &vec![], true),
        ("", &[], &flags, true),
    ] {
        let loaded = load_from(file, pairs, flags).unwrap();
        assert_eq!((loaded.is_given(name), loaded.is_given("webhook.secrets")), (is_given, false));
    }
}

#[test]
fn unsigned_events_without_secrets_are_those_of_providers_without_one() {
    let pairs = [("FLASHSALE_WEBHOOK__SECRETS", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")];
    let mut webhook = load_from("", &pairs, &vec![]).unwrap().settings.webhook;
    let allowed =
        |webhook: &Webhook| ["webhook.secrets", "webhook.stripe_secrets"].map(|name| webhook.allows_unsigned(name));
    assert_eq!(allowed(&webhook), [false, false]);
    webhook.allow_unsigned_without_secrets = true;
    assert_eq!(allowed(&webhook), [false, true]);
    webhook.allow_unsigned = true;
    assert_eq!(allowed(&webhook), [true, true]);
}

#[test]
fn a_collector_is_a_plain_url_and_a_wrong_one_is_not_repeated() {
    let of = |name: &str, value: &str| load_from("", &[(&format!("FLASHSALE_TRACING__{name}"), value)], &vec![]);
    for url in ["http://127.0.0.1:4318", "https://collector.example/otlp/"] {
        let Ok(loaded) = of("OTLP_ENDPOINT", url) else { panic!("{url}") };
        assert_eq!(loaded.settings.tracing.otlp_endpoint.as_deref(), Some(url));
    }
    for url in
        ["127.0.0.1:4318", "http://", "ftp://collector", "http://ann:hush@collector", "http://collector/?key=hush"]
    {
        let Err(Complaints(complaints)) = of("OTLP_ENDPOINT", url) else { panic!("{url} was taken") };
        let [complaint] = &complaints[..] else { panic!("{complaints:?}") };
        assert!(complaint.contains("must be http:// or https://") && !complaint.contains("hush"), "{complaint}");
    }
    assert!(of("SAMPLE_RATIO", "1").is_ok() && of("SAMPLE_RATIO", "1.5").is_err());
}

/// All settings, with their sections.
fn settings() -> Vec<String> {
    let mut section = "";
    let named = DEFAULTS.lines().filter_map(|line| {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        }
        let (key, _) = line.split_once(" = ").filter(|_| !line.starts_with('#'))?;
        Some(format!("{section}.{key}"))
    });
    named.collect()
}

#[test]
fn a_variable_or_flag_that_is_empty_or_has_quotes_around_it_is_refused_with_its_name() {
    let all = settings();
    assert!(all.len() > 40, "{all:?}");
    for setting in all {
        let name = format!("FLASHSALE_{}", setting.replacen('.', "__", 1).to_uppercase());
        for (value, word) in
            [("", "empty"), (" \t\r\n", "empty"), ("\"x\"", "quote"), ("'x'\n", "quote"), ("\u{fffd}", "UTF-8")]
        {
            let Err(Complaints(complaints)) = load_from("", &[(&name, value)], &vec![]) else {
                panic!("{name}={value:?} was taken")
            };
            let [complaint] = &complaints[..] else { panic!("{complaints:?}") };
            let start = format!("{setting} ({name}) ");
            assert!(complaint.starts_with(&start) && complaint.contains(word), "{value:?}: {complaint}");
        }
    }
    // Although another variable names a server, an empty one would make it embedded.
    let pairs = [("REDIS_URL", "redis://h"), ("FLASHSALE_REDIS__URL", "")];
    for pairs in [&pairs[..], &[("REDIS_URL", ""), ("FLASHSALE_REDIS__URL", "redis://h")]] {
        assert!(load_from("", pairs, &vec![]).is_err());
    }
    let Err(Complaints(complaints)) = load_from("", &[], &vec![("http.addr", String::new())]) else { panic!("taken") };
    assert!(complaints[0].starts_with("http.addr (a flag) is set, but empty"), "{complaints:?}");
}

#[test]
fn an_empty_value_in_a_file_is_refused_where_it_means_nothing() {
    for (file, setting) in [
        ("[http]\naddr = \"\"\n", "http.addr"),
        ("[http]\napi_keys = \"\"\n", "http.api_keys"),
        ("[http]\napi_keys = [\"\"]\n", "http.api_keys"),
        ("[admin]\ntokens = [\"a-token-of-sixteen\", \" \"]\n", "admin.tokens"),
        ("[webhook]\nsecrets = [\"\"]\n", "webhook.secrets"),
        ("[http]\nworkers = \"\"\n", "http.workers"),
        ("[redis]\ndata_dir = \"\"\n", "redis.data_dir"),
        ("[redis]\nurl = \" \"\n", "redis.url"),
        ("[admin]\ntoken = \" \"\n", "admin.token"),
        ("[admin]\ntoken = \"'quoted-as-in-a-shell'\"\n", "admin.token"),
        ("[log]\nfilter = \"\"\n", "log.filter"),
        ("[log]\nformat = \"\"\n", "log.format"),
        ("[http]\napi_keys = { a = 1 }\n", "http.api_keys"),
    ] {
        let Err(Complaints(complaints)) = load_from(file, &[], &vec![]) else { panic!("{file} was taken") };
        assert!(complaints.len() == 1 && complaints[0].starts_with(setting), "{file}: {complaints:?}");
    }
    assert!(load_from("[redis]\nurl = \"\"\nmode = \"\"\n[admin]\ntoken = \"\"\n", &[], &vec![]).is_ok());
}

#[test]
fn blanks_and_line_ends_around_a_value_do_not_count() {
    let pairs = [
        ("FLASHSALE_ADMIN__TOKEN", "\u{feff}a-token-of-sixteen\r\n"),
        ("FLASHSALE_HTTP__API_KEYS", " a-key-of-sixteen-1 ,a-key-of-sixteen-2\n"),
        ("FLASHSALE_HTTP__WORKERS", "3\n"),
        ("REDIS_URL", "redis://h:6379\n"),
        ("FLASHSALE_HTTP__ADDR", " :8081\n"),
    ];
    let settings = load_from("", &pairs, &vec![]).unwrap().settings;
    assert_eq!(settings.admin.token.unwrap().expose(), "a-token-of-sixteen");
    assert_eq!(settings.http.api_keys[1].expose(), "a-key-of-sixteen-2");
    assert_eq!((settings.http.workers, settings.http.addr.to_string()), (3, "0.0.0.0:8081".to_owned()));
    assert!(matches!(settings.redis.source, RedisSource::Standalone { url } if url.expose() == "redis://h:6379"));
    for (value, word) in [("[\"a-key-of-sixteen-1\"]", "brackets"), ("'a-key-of-sixteen-1',b", "number 1 begins")] {
        let Err(Complaints(complaints)) = load_from("", &[("FLASHSALE_HTTP__API_KEYS", value)], &vec![]) else {
            panic!("{value} was taken")
        };
        assert!(complaints[0].contains(word), "{complaints:?}");
    }
}

#[test]
fn a_variable_with_one_underscore_too_few_is_named_right_and_those_of_kubernetes_do_no_harm() {
    let Err(Complaints(complaints)) = load_from("", &[("FLASHSALE_HTTP_ADDR", ":80")], &vec![]) else {
        panic!("taken")
    };
    assert!(complaints[0].ends_with("did you mean http.addr?"), "{complaints:?}");
    let pairs = [("FLASHSALE_SERVICE_HOST", "10.0.0.1"), ("FLASHSALE_PORT", "tcp://10.0.0.1:80")];
    assert!(load_from("", &pairs, &vec![]).is_ok());
}
