"""Mails to customers."""

import smtplib
from email.message import EmailMessage

from orders.models import Order

SENDER = "orders@shop.example"


def confirmation(order: Order, address: str) -> EmailMessage:
    """What a customer gets when an order is placed."""
    message = EmailMessage()
    message["From"] = SENDER
    message["To"] = address
    message["Subject"] = "Your order {}".format(order.number)
    lines = [f"{line.quantity} x {line.sku}" for line in order.lines]
    message.set_content("\n".join(["Thank you for your order:", ""] + lines))
    return message


def send(message: EmailMessage, host: str, port: int = 25) -> None:
    """Hand a mail over."""
    with smtplib.SMTP(host, port) as server:
        server.send_message(message)


def mask(address: str) -> str:
    """An address as it may be shown: ``a***@shop.example``."""
    name, at, domain = address.partition("@")
    if not at or not name:
        raise ValueError("this is not an address")
    return f"{name[0]}***@{domain}"
