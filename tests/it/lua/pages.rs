//! Pages of reviews on a server whose locale sorts text by its own alphabet.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, process::Command};

use flashsale::store::Op;
use redis::{Commands, Value};

use super::{key, list, word};
use crate::support::{
    mutant,
    redis::{ServerProcess, server_program},
};

/// A server with the locale `en_US.UTF-8`, if this machine can make that.
fn american_server() -> Option<(ServerProcess, tempfile::TempDir)> {
    let folder = tempfile::TempDir::with_prefix("fs").unwrap();
    let locale = folder.path().join("en_US.UTF-8");
    let made = Command::new("localedef").args(["-i", "en_US", "-f", "UTF-8"]).arg(&locale).output();
    // It answers 1 for mere warnings.
    if made.is_err() || !locale.exists() {
        return None;
    }
    let program = folder.path().join("server");
    let (path, server) = (folder.path().display(), server_program());
    let text = format!("#!/bin/sh\nLOCPATH={path} LC_ALL=en_US.UTF-8 exec {} \"$@\"\n", server.display());
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    Some((ServerProcess::start_program(&program, &[]), folder))
}

#[test]
fn pages_of_reviews_of_one_instant_are_whole_whatever_the_locale_of_the_server() {
    let Some((server, _folder)) = american_server() else {
        crate::support::left_out("this machine cannot make a locale");
        return;
    };
    let mut redis = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let collates: String = redis::cmd("EVAL").arg("return tostring('a' < 'B')").arg(0).query(&mut redis).unwrap();
    assert_eq!(collates, "true", "the alphabet of the server is not that of its bytes");
    let ids = ["a", "B", "_", "-", "c", "D", "0", "Z", "aB", "Ab"];
    for id in ids {
        redis.zadd::<_, _, _, ()>(key("reviews"), id, 7).unwrap();
        redis.hset::<_, _, _, ()>(key("review_records"), id, "record").unwrap();
    }
    let catalogue = mutant::catalogue();
    let script = redis::Script::new(&catalogue.script(Op::ListReviews).source);
    let (mut seen, mut after) = (Vec::new(), (String::from("0"), String::new()));
    loop {
        let mut call = script.prepare_invoke();
        call.key(key("reviews")).key(key("review_records")).arg(&after.0).arg(&after.1).arg(3);
        let reply: Value = call.invoke(&mut redis).unwrap();
        let found: Vec<String> = list(&reply)[1..].iter().map(|value| word(std::slice::from_ref(value))).collect();
        let Some(last) = found.chunks(3).next_back() else { break };
        after = (last[1].clone(), last[0].clone());
        seen.extend(found.chunks(3).map(|row| row[0].clone()));
        assert!(seen.len() <= ids.len(), "{seen:?}");
    }
    assert_eq!(seen.len(), ids.len(), "{seen:?}");
    assert_eq!(seen.iter().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(ids));
}
