# The build lines are run by cmd/console/dockerfile_test.go; keep each RUN on one line.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
ARG COMMIT=unknown
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION} -X main.commit=${COMMIT}" -o /console ./cmd/console
RUN mkdir -p /state/orgconsole

# No shell, no package manager: certificates, time zones and the binary.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /console /console
COPY --from=build --chown=65532:65532 /state /var/lib
USER 65532:65532
# Inside a container the port is published on purpose, so every address is listened on; CONSOLE_PUBLIC_URL is then
# required. The store, and the keys made beside it, lie in the volume.
ENV CONSOLE_ADDR=:8080 XDG_STATE_HOME=/var/lib
VOLUME /var/lib/orgconsole
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=6s --start-period=10s CMD ["/console", "healthcheck"]
ENTRYPOINT ["/console"]
CMD ["serve"]
