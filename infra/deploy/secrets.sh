#!/bin/sh
# Makes the secrets of compose.yaml, once: `.env` and `secrets/` in this folder, or in the one given. Says no value.
set -eu
umask 077
folder=${1:-$(dirname "$0")}

if [ -e "$folder/.env" ] || [ -e "$folder/secrets" ]; then
    echo "$folder has secrets already. To make new ones, read docs/production.md first: the data was made with the old." >&2
    exit 2
fi

if ! command -v openssl > /dev/null; then
    echo "openssl is missing: it makes the certificate by which SeaweedFS's parts know one another." >&2
    exit 2
fi

# Hexadecimal: these stand in URLs and in JSON.
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

access=$(random) secret=$(random) admin_access=$(random) admin_secret=$(random)

mkdir "$folder/secrets"
# The pipeline may use its bucket; only the one-shot service that makes the bucket may do more.
cat > "$folder/secrets/s3.json" <<JSON
{"identities": [
  {"name": "pipeline", "credentials": [{"accessKey": "$access", "secretKey": "$secret"}],
   "actions": ["Read:keepfit", "Write:keepfit", "List:keepfit", "Tagging:keepfit"]},
  {"name": "admin", "credentials": [{"accessKey": "$admin_access", "secretKey": "$admin_secret"}],
   "actions": ["Admin"]}
]}
JSON
# One certificate for all of its parts, which trust it and no other; it can sign none.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=keepfit seaweed" \
    -addext "basicConstraints=critical,CA:FALSE" -addext "extendedKeyUsage=serverAuth,clientAuth" \
    -addext "subjectAltName=IP:127.0.0.1,DNS:localhost" \
    -keyout "$folder/secrets/seaweed.key" -out "$folder/secrets/seaweed.crt" 2> /dev/null
# Each is mounted by itself and read by SeaweedFS's own account; on the host the folder's mode keeps everybody else out.
chmod 0444 "$folder"/secrets/*

cat > "$folder/.env" <<ENV
# Secrets of compose.yaml. Back this file up apart from the data.
POSTGRES_PASSWORD=$(random)
REGISTRY_PASSWORD=$(random)
ORCHESTRATOR_PASSWORD=$(random)
S3_ACCESS_KEY=$access
S3_SECRET_KEY=$secret
S3_ADMIN_ACCESS_KEY=$admin_access
S3_ADMIN_SECRET_KEY=$admin_secret
SEAWEED_WRITE_KEY=$(random)
SEAWEED_READ_KEY=$(random)
SEAWEED_FILER_WRITE_KEY=$(random)
SEAWEED_FILER_READ_KEY=$(random)
# What one types to sign in to the UI, and what every worker sends.
SIGN_IN=operator:$(random)
ENV
echo "Made $folder/.env and $folder/secrets/."
