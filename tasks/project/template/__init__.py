"""What `keepfit new` copies; nothing imports it."""
