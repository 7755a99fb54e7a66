# The service alone. Redis runs in a container of its own. The image is built in two steps and runs as an unprivileged user.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
# rust-toolchain.toml is left out, so that cargo uses the toolchain of the image.
COPY Cargo.toml Cargo.lock ./
COPY lua lua
COPY src src
# The pages are part of the program.
COPY web web
# A member of the workspace: cargo needs its manifest, but does not build it here.
COPY loadtest/bench loadtest/bench
RUN cargo build --locked --release

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates tzdata && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home flashsale
COPY --from=build /build/target/release/flashsale /usr/local/bin/flashsale
USER 10001
ENV FLASHSALE_HTTP__ADDR=0.0.0.0:8080 FLASHSALE_LOG__FORMAT=json
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s CMD ["flashsale", "healthcheck"]
ENTRYPOINT ["flashsale"]
CMD ["serve"]
