#!/bin/sh
# Makes the secrets of a composed Penstock, in /secrets, at every start before anything else:
#
#   postgres-password, redis-password, buzzbip-signing-secrets, master-key   given, else kept, else random
#   database-url, queue-url, redis.conf                          what is made of them
#
# Given means: by a variable (POSTGRES_PASSWORD), or by the file that one names (POSTGRES_PASSWORD_FILE), mounted as
# /given/postgres-password and empty where there is none. Nothing is ever printed but names.
set -eu
umask 077
secrets=${SECRETS_FOLDER:-/secrets}
given=${GIVEN_FOLDER:-/given}
# Of who reads them: ingest, worker, migrate and redis run as this user; Postgres reads as root.
owner=${SECRETS_OWNER:-1000:1000}

random() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }
random_base64() { head -c 32 /dev/urandom | base64 | tr -d '\n'; }
# Every byte as the format gives it, so that no character has a meaning of its own.
encode() { od -An -v -tx1 | tr -d '\n' | sed "s/ /$1/g"; }
keep() { # never half a file, and never an old one: a start may be interrupted
  cat >"$secrets/.$1" && chown "$owner" "$secrets/.$1" && mv "$secrets/.$1" "$secrets/$1"
}

provide() { # NAME VARIABLE VALUE [HOW IT IS MADE]
  if [ -n "$3" ] && [ -s "$given/$1" ]; then
    echo "$2 and ${2}_FILE are both set: unset one of them, nothing says which is right" >&2
    exit 1
  fi
  if [ -n "$3" ]; then
    printf '%s' "$3" | keep "$1"
    echo "$1: taken from $2"
  elif [ -s "$given/$1" ]; then
    printf '%s' "$(cat "$given/$1")" | keep "$1"
    echo "$1: taken from the file that ${2}_FILE names"
  elif [ -s "$secrets/$1" ]; then
    echo "$1: kept from an earlier start"
  else
    "${4:-random}" | keep "$1"
    echo "$1: made"
  fi
}

mkdir -p "$secrets"
chown "$owner" "$secrets"
chmod 700 "$secrets"
provide postgres-password POSTGRES_PASSWORD "${POSTGRES_PASSWORD:-}"
provide redis-password REDIS_PASSWORD "${REDIS_PASSWORD:-}"
provide buzzbip-signing-secrets BUZZBIP_SIGNING_SECRETS "${BUZZBIP_SIGNING_SECRETS:-}"
provide master-key PENSTOCK_MASTER_KEY "${PENSTOCK_MASTER_KEY:-}" random_base64

echo "postgres://penstock:$(encode % <"$secrets/postgres-password")@postgres:5432/penstock" | keep database-url
echo "redis://:$(encode % <"$secrets/redis-password")@redis:6379" | keep queue-url
echo "requirepass \"$(encode '\\x' <"$secrets/redis-password")\"" | keep redis.conf
