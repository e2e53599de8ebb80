#!/bin/bash
# Run once by the PostgreSQL image, when its database is new: the role that workers log in as. `routekeeper init --roles`
# finds it there and gives it its rights.
set -eu
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --set password="$WRITER_PASSWORD" <<'SQL'
CREATE ROLE routekeeper_writer LOGIN PASSWORD :'password';
SQL
