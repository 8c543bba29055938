-- Around a backup: what it holds, and whether a database may be overwritten by one.

-- name: export_snapshot()$
-- What pg_dump then sees is exactly what this transaction sees.
SELECT pg_export_snapshot();

-- name: server_version()$
SELECT current_setting('server_version_num')::int;

-- name: migrations()
SELECT name, checksum FROM servitize.migration ORDER BY name;

-- name: contents()^
-- Stored readings by the counters (counting rows would take as long as the backup), alarms, equipment, devices, tenants, newest reading.
SELECT (SELECT coalesce(sum(count), 0)::bigint FROM servitize.conservation WHERE name = 'storage.stored'),
       (SELECT count(*) FROM servitize.alarm), (SELECT count(*) FROM servitize.equipment),
       (SELECT count(*) FROM servitize.device), (SELECT count(*) FROM servitize.tenant),
       (SELECT servitize.to_us(max(ts)) FROM servitize.latest_reading);

-- name: streams()
SELECT stream, next_offset FROM servitize.stream_position ORDER BY stream;

-- name: has_schema()$
SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'servitize');

-- name: in_use()$
-- Anything that a first start does not make by itself. A reading without equipment is impossible.
SELECT EXISTS (SELECT FROM servitize.equipment) OR EXISTS (SELECT FROM servitize.device)
    OR (SELECT count(*) FROM servitize.tenant) > 1;

-- name: lost_board_logins()
-- Logins belong to the server, not to the database: those that boards had elsewhere are not here.
SELECT b.login FROM servitize.board_login b WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = b.login) ORDER BY b.login;

-- name: drop_schema()!
DROP SCHEMA IF EXISTS servitize CASCADE;

-- name: analyze()!
ANALYZE;
