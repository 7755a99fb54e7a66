# The service alone: Redis is a container of its own. Built in two steps, run by a user without rights.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
# Without rust-toolchain.toml: the toolchain is that of the image.
COPY Cargo.toml Cargo.lock ./
COPY lua lua
COPY src src
# A member of the workspace, which cargo wants to see; it is not built here.
COPY loadtest/bench loadtest/bench
RUN cargo build --locked --release

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home flashsale
COPY --from=build /build/target/release/flashsale /usr/local/bin/flashsale
USER 10001
ENV FLASHSALE_HTTP__ADDR=0.0.0.0:8080 FLASHSALE_LOG__FORMAT=json
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s CMD ["flashsale", "healthcheck"]
ENTRYPOINT ["flashsale"]
CMD ["serve"]
