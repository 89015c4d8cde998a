INSERT INTO payments (order_id, receipt, fence) VALUES (?1, ?2, ?3)
ON CONFLICT (order_id) DO UPDATE SET receipt = excluded.receipt, fence = excluded.fence
WHERE excluded.fence >= payments.fence
