-- Retention: what the policies are, what they would delete, and deleting it. expire_* by the writer's login, the rest by the owner's.

-- name: bounds(tenant_id)
-- Policy that counts and moment before which is deleted, per tenant and kind; of all tenants where tenant_id is NULL.
SELECT t.slug, b.kind, b.keep::text, servitize.to_us(b.before)
  FROM servitize.retention_bounds() b JOIN servitize.tenant t ON t.id = b.tenant_id
 WHERE :tenant_id::int IS NULL OR b.tenant_id = :tenant_id::int
 ORDER BY t.slug, array_position(ARRAY['raw', 'minute', 'hour', 'day'], b.kind), b.kind;

-- name: set(tenant_id, kind, keep, forget)!
SELECT servitize.set_retention(:tenant_id::int, :kind::text, :keep::interval, :forget::boolean);

-- name: pieces()
SELECT kind, piece, whole FROM servitize.retention_pieces();

-- name: expiring_of_piece(kind, piece)
SELECT t.slug, servitize.to_us(x.before), x.rows
  FROM servitize.expiring_of_piece(:kind::text, :piece::text) x JOIN servitize.tenant t ON t.id = x.tenant_id WHERE x.rows > 0;

-- name: expire_piece(kind, piece)$
SELECT servitize.expire_piece(:kind::text, :piece::text);

-- name: rows()
SELECT r.tenant_id, t.slug, r.kind, servitize.to_us(r.before)
  FROM servitize.retention_rows() r LEFT JOIN servitize.tenant t ON t.id = r.tenant_id;

-- name: expire_rows(tenant_id, kind, dry)$
SELECT servitize.expire_rows(:tenant_id::int, :kind::text, :dry::boolean);

-- name: hold(tenant_id, since, reason)$
INSERT INTO servitize.retention_hold (tenant_id, since, reason) VALUES (:tenant_id, :since, :reason) RETURNING id;

-- name: release(id)$
UPDATE servitize.retention_hold SET released_at = now() WHERE id = :id AND released_at IS NULL RETURNING id;
