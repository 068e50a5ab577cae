-- soon
SELECT 1;
