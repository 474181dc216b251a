#!/bin/sh
# Run once, by the image's entrypoint, on an empty data folder: two databases, each with a role that can enter no other.
set -eu

# The passwords are read from the environment by psql itself: they stand on no command line, and in no log on an error.
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
SET log_min_error_statement = panic;
\getenv registry REGISTRY_PASSWORD
\getenv orchestrator ORCHESTRATOR_PASSWORD
CREATE ROLE keepfit LOGIN PASSWORD :'registry';
CREATE ROLE prefect LOGIN PASSWORD :'orchestrator';
CREATE DATABASE keepfit OWNER keepfit;
CREATE DATABASE prefect OWNER prefect;
REVOKE ALL ON DATABASE keepfit, prefect, postgres, template1 FROM PUBLIC;
SQL
