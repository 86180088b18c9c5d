"""The world outside: the broker that is looked at, the mail server and the webhook of alerts."""
