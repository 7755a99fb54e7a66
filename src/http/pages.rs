//! The storefront at `/`, the dashboard at `/dashboard`, and the contract at `/openapi.json` and for people at `/docs`: files of `web/`,
//! which are part of the program.

use std::{
    cell::OnceCell,
    hash::{DefaultHasher, Hash, Hasher},
    io::Read,
    rc::Rc,
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH, VARY},
    },
    web::{Bytes, Data},
};
use flate2::read::GzDecoder;
use serde_json::json;

use super::{HttpContext, answer, gzip};

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
    file: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($path:literal $media_type:literal $file:literal)*) => {
        &[$(Asset {
            path: $path,
            media_type: $media_type,
            file: $file,
            bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/", $file)),
        }),*]
    };
}

/// Every page has them.
const SHARED: &[Asset] = assets! {
    "/assets/base.css" "text/css; charset=utf-8" "base.css"
    "/assets/base.js" "text/javascript; charset=utf-8" "base.js"
    "/assets/icon.svg" "image/svg+xml" "icon.svg"
};

/// The contract for programs. Everybody may read it, whatever pages there are.
const CONTRACT: &[Asset] = assets! {
    "/openapi.json" "application/json" "openapi.json"
    "/docs" "text/html; charset=utf-8" "docs/index.html"
    "/assets/docs.css" "text/css; charset=utf-8" "docs/docs.css"
    "/assets/docs.js" "text/javascript; charset=utf-8" "docs/docs.js"
    "/assets/swagger-ui.css" "text/css; charset=utf-8" "vendor/swagger-ui.css.gz"
    "/assets/swagger-ui.js" "text/javascript; charset=utf-8" "vendor/swagger-ui-bundle.js.gz"
};

const STOREFRONT: &[Asset] = assets! {
    "/" "text/html; charset=utf-8" "storefront/index.html"
    "/assets/storefront.css" "text/css; charset=utf-8" "storefront/storefront.css"
    "/assets/storefront.js" "text/javascript; charset=utf-8" "storefront/storefront.js"
    "/assets/storefront-list.js" "text/javascript; charset=utf-8" "storefront/storefront-list.js"
    "/assets/storefront-words.js" "text/javascript; charset=utf-8" "storefront/storefront-words.js"
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
macro_rules! policy {
    ($images:literal) => {
        HeaderValue::from_static(concat!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src ",
            $images,
            "; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ))
    };
}

const POLICY: HeaderName = HeaderName::from_static("content-security-policy");

const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff")),
    (HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    // A browser asks each time, and is mostly answered 304.
    (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
];

impl Pages {
    pub(super) fn assets(self) -> impl Iterator<Item = &'static Asset> {
        let chosen = |has: bool, assets: &'static [Asset]| if has { assets } else { &[] };
        [CONTRACT, SHARED, chosen(self.storefront, STOREFRONT), chosen(self.dashboard, DASHBOARD)].into_iter().flatten()
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
        let (tag, plain): (Rc<str>, _) = (self.tag().into(), Rc::new(OnceCell::new()));
        move |request| std::future::ready(self.answer(&request, &tag, &plain))
    }

    /// `plain`: the file for the few clients that take no gzip, once one has asked. Anybody may, as often as they like.
    fn answer(&self, request: &HttpRequest, tag: &str, plain: &OnceCell<Bytes>) -> HttpResponse {
        let known = request.headers().get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
        // A proxy that compresses makes the tag a weak one.
        let is_known = known.flat_map(|list| list.split(',')).any(|known| known.trim().trim_start_matches("W/") == tag);
        let is_packed = self.file.rsplit_once('.').is_some_and(|(_, end)| end == "gz");
        let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        HEADERS.into_iter().for_each(|header| _ = response.insert_header(header));
        response.insert_header((POLICY, self.policy()));
        // The same tag stands for the packed and the plain file, so it is a weak one.
        response.insert_header((ETAG, if is_packed { format!("W/{tag}") } else { tag.to_owned() }));
        if is_packed {
            response.insert_header((VARY, "Accept-Encoding"));
        }
        if is_known {
            return response.finish();
        }
        response.insert_header((CONTENT_TYPE, self.media_type));
        if is_packed && !gzip::is_accepted(request) {
            return response.body(plain.get_or_init(|| unpacked(self.bytes)).clone());
        }
        if is_packed {
            response.insert_header((CONTENT_ENCODING, "gzip"));
        }
        response.body(Bytes::from_static(self.bytes))
    }

    /// The styles of swagger-ui have their pictures in them.
    fn policy(&self) -> HeaderValue {
        if self.path == "/docs" { policy!("'self' data:") } else { policy!("'self'") }
    }

    /// Another one for other bytes. `DefaultHasher` begins with the same keys everywhere.
    fn tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.bytes.hash(&mut hasher);
        format!("\"{:016x}\"", hasher.finish())
    }
}

fn unpacked(packed: &[u8]) -> Bytes {
    let mut plain = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut plain).expect("a file of the program is whole");
    plain.into()
}
