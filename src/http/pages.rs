//! The storefront at `/`, the dashboard at `/dashboard` and the contract at `/openapi.json`: files of `web/`, which are part of the
//! program.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH},
    },
    web::{Bytes, Data},
};
use serde_json::json;

use super::{HttpContext, answer};

/// Which pages there are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pages {
    pub storefront: bool,
    /// It shows nothing to whoever has no admin token.
    pub dashboard: bool,
}

/// A file of a page.
pub(super) struct Asset {
    pub(super) path: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($path:literal $media_type:literal $file:literal)*) => {
        &[$(Asset {
            path: $path,
            media_type: $media_type,
            bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/", $file)),
        }),*]
    };
}

const SHARED: &[Asset] = assets! {
    "/assets/base.css" "text/css; charset=utf-8" "base.css"
    "/assets/base.js" "text/javascript; charset=utf-8" "base.js"
    "/assets/icon.svg" "image/svg+xml" "icon.svg"
};

/// The contract for programs. Everybody may read it, whatever pages there are.
const CONTRACT: &[Asset] = assets! {
    "/openapi.json" "application/json" "openapi.json"
};

const STOREFRONT: &[Asset] = assets! {
    "/" "text/html; charset=utf-8" "storefront/index.html"
    "/assets/storefront.css" "text/css; charset=utf-8" "storefront/storefront.css"
    "/assets/storefront.js" "text/javascript; charset=utf-8" "storefront/storefront.js"
};

const DASHBOARD: &[Asset] = assets! {
    "/dashboard" "text/html; charset=utf-8" "dashboard/index.html"
    "/assets/dashboard.css" "text/css; charset=utf-8" "dashboard/dashboard.css"
    "/assets/dashboard.js" "text/javascript; charset=utf-8" "dashboard/dashboard.js"
    "/assets/dashboard-figures.js" "text/javascript; charset=utf-8" "dashboard/dashboard-figures.js"
    "/assets/dashboard-shared.js" "text/javascript; charset=utf-8" "dashboard/dashboard-shared.js"
    "/assets/dashboard-products.js" "text/javascript; charset=utf-8" "dashboard/dashboard-products.js"
    "/assets/dashboard-money.js" "text/javascript; charset=utf-8" "dashboard/dashboard-money.js"
    "/assets/dashboard-events.js" "text/javascript; charset=utf-8" "dashboard/dashboard-events.js"
    "/assets/uplot.css" "text/css; charset=utf-8" "vendor/uPlot.min.css"
    "/assets/uplot.js" "text/javascript; charset=utf-8" "vendor/uPlot.iife.min.js"
};

/// Nothing from outside, nothing inline, and no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (HeaderName::from_static("content-security-policy"), HeaderValue::from_static(POLICY)),
    (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff")),
    (HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    // A browser asks each time, and is mostly answered 304.
    (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
];

impl Pages {
    pub(super) fn assets(self) -> impl Iterator<Item = &'static Asset> {
        let chosen = |has: bool, assets: &'static [Asset]| if has { assets } else { &[] };
        [
            CONTRACT,
            chosen(self.storefront || self.dashboard, SHARED),
            chosen(self.storefront, STOREFRONT),
            chosen(self.dashboard, DASHBOARD),
        ]
        .into_iter()
        .flatten()
    }
}

/// What else there is, for the storefront.
pub(super) const PARTS: &str = "/assets/parts.json";

pub(super) async fn parts(context: Data<HttpContext>) -> HttpResponse {
    let body =
        json!({"dashboard": context.pages.dashboard, "simulated_provider": context.simulated_provider.is_some()});
    answer::fresh_json(StatusCode::OK, &body)
}

impl Asset {
    /// Answers this file to everybody, or 304 to whoever has it.
    pub(super) fn handler(&'static self) -> impl Fn(HttpRequest) -> std::future::Ready<HttpResponse> + Clone {
        let tag: Rc<str> = self.tag().into();
        move |request| std::future::ready(self.answer(&request, &tag))
    }

    fn answer(&self, request: &HttpRequest, tag: &str) -> HttpResponse {
        let known = request.headers().get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
        // A proxy that compresses makes the tag a weak one.
        let is_known = known.flat_map(|list| list.split(',')).any(|known| known.trim().trim_start_matches("W/") == tag);
        let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        HEADERS.into_iter().for_each(|header| _ = response.insert_header(header));
        response.insert_header((ETAG, tag));
        if is_known {
            return response.finish();
        }
        response.insert_header((CONTENT_TYPE, self.media_type)).body(Bytes::from_static(self.bytes))
    }

    /// Another one for other bytes. `DefaultHasher` begins with the same keys everywhere.
    fn tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.bytes.hash(&mut hasher);
        format!("\"{:016x}\"", hasher.finish())
    }
}
