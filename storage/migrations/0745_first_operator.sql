-- Where there are tenants already, the first of them runs the platform.
INSERT INTO servitize.platform_operator (tenant_id)
SELECT min(t.id) FROM servitize.tenant t HAVING min(t.id) IS NOT NULL
ON CONFLICT DO NOTHING;
