//! One integration binary, on real private servers. `support` starts them; everything else is tests by what they look at.

mod api;
mod docs;
mod house;
mod lua;
mod model;
mod support;
mod topology;
