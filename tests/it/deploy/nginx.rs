//! `deploy/nginx`: one file for the compose file, the documents and the test of rolling restarts.

use std::{fs, process::Command};

use tempfile::TempDir;

use crate::{
    house::{read, root},
    support::{left_out, redis::free_port},
};

#[test]
fn nginx_takes_the_settings_of_compose() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let place = folder.path().to_str().unwrap();
    let around = read(&root().join("deploy/nginx/nginx.conf"));
    let inside = read(&root().join("deploy/nginx/flashsale.conf"));
    // nginx looks names up, and binds: names of the containers are unknown here, and the port belongs to root.
    let inside =
        inside.replace("shop-", "127.0.0.").replace("listen 80;", &format!("listen 127.0.0.1:{};", free_port()));
    let around = around.replace("/tmp/", &format!("{place}/")).replace("/etc/nginx/", &format!("{place}/"));
    fs::write(folder.path().join("flashsale.conf"), inside).unwrap();
    fs::write(folder.path().join("nginx.conf"), around).unwrap();
    let nginx = Command::new("nginx").args(["-t", "-p", place, "-c", "nginx.conf"]).output();
    let Ok(output) = nginx else { return left_out("nginx is not installed") };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("[warn]"), "{said}");
}

#[test]
fn the_documents_show_the_file() {
    let page = read(&root().join("docs/operations.md"));
    let file = read(&root().join("deploy/nginx/flashsale.conf"));
    assert!(
        page.contains(&format!("```nginx\n{file}```\n")),
        "docs/operations.md shows other settings than deploy/nginx has"
    );
}
