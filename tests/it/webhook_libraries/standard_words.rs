//! All words of our own webhook.
