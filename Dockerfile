# The service alone: one program, the libraries that it needs, certificates and time zones. No shell and no package manager. Redis runs in
# a container of its own.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
# .dockerignore names what this copies. rust-toolchain.toml is not among it, so that cargo uses the toolchain of the image. loadtest/bench
# is a member of the workspace: cargo needs its manifest, but does not build it here.
COPY . .
RUN cargo build --locked --release \
    && mkdir -p /image/usr/local/bin /image/usr/share /image/etc/ssl/certs \
    && cp target/release/flashsale /image/usr/local/bin/ \
    && ldd target/release/flashsale | grep -o '/[^ ]*' | sort -u | xargs -I{} cp --parents -L {} /image \
    && cp -L /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
    && cp -r /usr/share/zoneinfo /image/usr/share/ \
    && echo 'flashsale:x:10001:10001::/:/usr/sbin/nologin' >/image/etc/passwd \
    && echo 'hosts: files dns' >/image/etc/nsswitch.conf \
    && rm -r target

FROM scratch
COPY --from=build /image /
USER 10001:10001
ENV FLASHSALE_HTTP__ADDR=0.0.0.0:8080 FLASHSALE_LOG__FORMAT=json
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=4s --start-period=10s CMD ["/usr/local/bin/flashsale", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/flashsale"]
CMD ["serve"]
