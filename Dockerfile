# The image of scc-enricher: one static binary on distroless, run as nobody.
# Works with `docker build`, `buildah bud` and Cloud Build; docs/install.md has
# the commands, deploy/image/smoke.sh builds and runs it without a registry.
#
# Both bases are pinned by digest: the tag says what it is, the digest decides
# which one. To renew them, read the digest of the tag and put it here:
#
#   crane digest golang:1.26.8-bookworm
#   crane digest gcr.io/distroless/static-debian12:nonroot
#   docker buildx imagetools inspect gcr.io/distroless/static-debian12:nonroot
#
# and check who made the second:
#
#   cosign verify gcr.io/distroless/static-debian12:nonroot \
#     --certificate-oidc-issuer https://accounts.google.com \
#     --certificate-identity keyless@distroless.iam.gserviceaccount.com
#
# These two digests were copied from public Dockerfiles that pin the same tags
# (several independent ones agree). They have not been pulled by this project:
# check them with the commands above before the first build.
ARG GO_IMAGE=golang:1.26.8-bookworm@sha256:a688600ca24f8a4d3ca77f95b0dd40704a9fc787c826660eb7ba0b641b8b175d
ARG BASE=gcr.io/distroless/static-debian12:nonroot@sha256:afa5c872c891853ca7fcf1f12c3edb23f7eeef36189728842dd51042ff57f7ab

FROM ${GO_IMAGE} AS build
# The toolchain of the image and no other; no C; the same bytes wherever built.
ENV CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-trimpath
WORKDIR /src
# Modules first: this layer changes only when they do.
COPY go.mod go.sum ./
RUN go mod download
COPY cmd ./cmd
COPY pkg ./pkg
# Without .git in the context there is no commit to stamp: say both. What is
# left out is said to be unknown.
ARG VERSION=devel
ARG COMMIT=unknown
RUN go build -buildvcs=false -ldflags "-s -w -X main.version=${VERSION} -X main.commit=${COMMIT}" -o /out/scc-enricher ./cmd/scc-enricher

FROM ${BASE}
ARG VERSION=devel
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="scc-enricher" \
      org.opencontainers.image.description="Enriches Security Command Center's Cloud Run threat findings" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
COPY --from=build /out/scc-enricher /scc-enricher
# distroless's nonroot, by number so that "run as non-root" can be checked.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/scc-enricher"]
CMD ["serve"]
