//! `deploy/nginx`: one file for the compose file, the documents and the test of rolling restarts.

use std::{fs, process::Command};

use tempfile::TempDir;

use crate::{
    house::{read, root},
    support::{app::TestApp, eventually, left_out, nginx::Nginx, redis::free_port, tls::Certificates},
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

/// nginx with `public.conf` in front of a service, for those who come from `office`.
fn public(app: &TestApp, certificates: &Certificates, [http, https]: [u16; 2], office: &str) -> Option<Nginx> {
    let [certificate, key] = certificates.own();
    let settings = read(&root().join("deploy/nginx/public.conf"))
        .replace("listen 80;", &format!("listen 127.0.0.1:{http};"))
        .replace("listen 443 ssl;", &format!("listen 127.0.0.1:{https} ssl;"))
        .replace("/etc/nginx/shop.pem", &certificate)
        .replace("/etc/nginx/shop.key", &key)
        .replace("10.0.0.0/8", office);
    Nginx::start(&format!("upstream flashsale {{ server {}; }}\n{settings}", app.addr))
}

/// What curl gets for these arguments: the status, and where it is sent on.
fn curl(certificates: &Certificates, arguments: &[&str]) -> (u16, String) {
    let output = Command::new("curl")
        .args(["-s", "--path-as-is", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}"])
        .args(["--cacert", &certificates.authority()])
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let (status, url) = said.split_once(' ').unwrap();
    (status.parse().unwrap(), url.to_owned())
}

#[tokio::test]
async fn on_the_open_internet_buyers_and_payments_come_through_tls_and_nobody_else() {
    let app = TestApp::selling(10).await;
    let certificates = Certificates::make();
    let ports @ [http, https] = [free_port(), free_port()];
    let Some(nginx) = public(&app, &certificates, ports, "10.0.0.0/8") else { return };
    let base = format!("https://localhost:{https}");
    let status = |path: &str| curl(&certificates, &[&format!("{base}{path}")]).0;
    eventually("nginx passes requests on", async || status("/api/products/1") == 200).await;
    let hold = ["--json", r#"{"product_id":1,"quantity":1}"#];
    assert_eq!(curl(&certificates, &[&[&*format!("{base}/api/holds")], &hold[..]].concat()).0, 201);
    let (unsigned, _) = curl(&certificates, &[&[&*format!("{base}/api/payments/webhook")], &hold[..]].concat());
    assert_ne!(unsigned, 403, "payment events reach the service");
    // However it is spelled: the service and nginx agree on what is an admin's.
    let spellings = [
        "/api/admin/products",
        "/api/admin/",
        "/api/admin",
        "/api/%61dmin/products",
        "/api//admin/products",
        "//api/admin/products",
        "/api/./admin/products",
        "/api/holds/../admin/products",
        "/api/holds/%2e%2e/admin/products",
    ];
    for path in spellings.into_iter().chain(["/", "/metrics", "/dashboard", "/docs", "/openapi.json", "/readyz"]) {
        assert_eq!(status(path), 403, "{path}");
    }
    // What nginx takes for another path is no admin's path to the service either.
    for path in ["/api/%2561dmin/products", "/API/ADMIN/products", "/api/admin;/products", "/api/%00admin/products"] {
        assert!([400, 403, 404].contains(&status(path)), "{path} is {}", status(path));
    }
    let sent_on = curl(&certificates, &[&[&*format!("http://localhost:{http}/api/holds?a=1")], &hold[..]].concat());
    assert_eq!(sent_on, (308, "https://localhost/api/holds?a=1".to_owned()));
    drop(nginx);
    let Some(_nginx) = public(&app, &certificates, ports, "127.0.0.1") else { return };
    // The token is missing.
    eventually("those of the office come through", async || status("/api/admin/products") == 401).await;
    assert_eq!(status("/readyz"), 200);
}
