#!/bin/sh
# Makes the secrets of compose.yaml, once: `.env` and `secrets/s3.json` in this folder, or in the one given. Says no value.
set -eu
umask 077
folder=${1:-$(dirname "$0")}

if [ -e "$folder/.env" ] || [ -e "$folder/secrets" ]; then
    echo "$folder has secrets already. To make new ones, read docs/production.md first: the data was made with the old." >&2
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
# Mounted by itself and read by SeaweedFS's own account; on the host the folder's mode keeps everybody else out.
chmod 0444 "$folder/secrets/s3.json"

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
echo "Made $folder/.env and $folder/secrets/s3.json."
