-- What was asked for by API and is done where the broker is.

-- name: listen_to_devices()!
LISTEN servitize_device;

-- name: listen_to_replays()!
LISTEN servitize_replay;

-- name: next_device()^
-- The oldest order, held to the end of the transaction.
SELECT o.device_id, d.tenant_id, t.slug, e.key, d.client_id, d.username, d.edge_node, d.nonce, d.secret_hash, d.revoked_at IS NOT NULL
  FROM servitize.device_order o
  JOIN servitize.device d ON d.id = o.device_id
  JOIN servitize.tenant t ON t.id = d.tenant_id
  LEFT JOIN servitize.equipment e ON e.id = d.equipment_id
 WHERE o.done_at IS NULL
 ORDER BY o.ordered_at LIMIT 1
   FOR UPDATE OF o SKIP LOCKED;

-- name: finish_device(device, problem)!
UPDATE servitize.device_order SET done_at = clock_timestamp(), problem = :problem WHERE device_id = :device;

-- name: take_replays(most)
SELECT r.topic, r.payload FROM servitize.take_replays(:most) r;

-- name: listen_to_notices()!
LISTEN servitize_notice;

-- name: take_notices(most)
SELECT n.topic, n.payload FROM servitize.take_notices(:most) n;

-- name: listen_to_captures()!
LISTEN servitize_capture;

-- name: take_captures(most)
SELECT c.topic, c.payload FROM servitize.take_captures(:most) c;
