# A HAProxy for machines that reach no image registry; CI tags it with the name that docker-compose.yml asks for.
FROM node:24-trixie-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends haproxy && rm -rf /var/lib/apt/lists/*
