# Docker for the stage that needs it: what answers here, else an engine of our own. Sourced by run.

# On a machine without Docker or without an image registry: programs that start an engine, and build images with the
# names of the public ones.
docker_tools=${CI_DOCKER_TOOLS:-../shared/stand-ins}
docker_pid=

# Sees to it that Docker answers and has the images that the tests start from. Fails and says why when it cannot.
ensure_docker() {
  if ! docker info >/dev/null 2>&1; then
    if [ ! -x "$docker_tools/start-docker" ]; then
      fail "no Docker answers, and there is no $docker_tools/start-docker: start Docker, or set CI_DOCKER_TOOLS"
      return 1
    fi
    if ! docker_pid=$("$docker_tools/start-docker" | sed -n 's/^dockerd pid: \([0-9][0-9]*\)$/\1/p'); then
      fail "$docker_tools/start-docker did not start Docker"
      return 1
    fi
  fi
  local image missing=()
  for image in node:24-trixie-slim postgres:18 redis:8 jaegertracing/jaeger:2; do
    has_image "$image" || missing+=("$image")
  done
  if [ "${#missing[@]}" -gt 0 ] && ! "$docker_tools/build-images" node postgres redis jaeger; then
    fail "these images are neither here nor to be had: ${missing[*]}"
    return 1
  fi
  has_image haproxy:3.2 || docker build -q -t haproxy:3.2 - <tests/compose/haproxy.Dockerfile || {
    fail "there is no image haproxy:3.2, and it could not be built"
    return 1
  }
}

has_image() {
  docker image inspect "$1" >/dev/null 2>&1 || docker pull -q "$1" >/dev/null 2>&1
}

# Ends the engine if it is ours, and waits until it is gone.
end_docker() {
  # With its number: in a trap the bare word returns what the run came to, which would end the trap there.
  if [ -z "$docker_pid" ]; then return 0; fi
  kill "$docker_pid" 2>/dev/null || true
  for _ in $(seq 60); do
    kill -0 "$docker_pid" 2>/dev/null || break
    sleep 0.5
  done
  docker_pid=
}
