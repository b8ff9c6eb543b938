# syntax=docker/dockerfile:1
# Two stages: Rust and its compiler stay behind, one binary goes on.
#
#   docker build -t jeongsan .
#   docker run -p 127.0.0.1:8080:8080 -v jeongsan:/data --env-file jeongsan.env --stop-timeout 30 jeongsan

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
# .dockerignore says what comes along.
COPY . .
# SQLite comes with its crate and is compiled here; nothing of the system is linked but libc and libgcc.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin jeongsan \
    && strip --strip-debug -o /jeongsan target/release/jeongsan \
    && mkdir /data

# The smallest Debian, nothing installed into it, and a user without rights (65532). Certificates of
# the web's authorities and the time zones are in the binary.
FROM debian:bookworm-slim
COPY --from=build /jeongsan /usr/local/bin/jeongsan
COPY --from=build --chown=65532:65532 --chmod=0700 /data /data
ENV JEONGSAN_DATA_DIR=/data \
    JEONGSAN_SERVER_LISTEN=0.0.0.0:8080
VOLUME ["/data"]
EXPOSE 8080
USER 65532:65532
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["/usr/local/bin/jeongsan", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/jeongsan"]
CMD ["serve"]
