"""The reference's node service, so that its nodes can be peers. Theory of operation.

The overlay's own rules know one kind of link: messages of a ``messages.Kind`` go out and come in. A
``ReferenceCarrier`` is such a link over the reference's three subscriptions; what it cannot say (ids of fragments,
"send me this") becomes what it can. So there is one ``Talking``, one policy and one inbox for both.

    records    its gossip's envelope, and which profiles are of use to it
    handshakes open nonces, and which caller showed that it is which node
    carrier    one link: kinds to subscriptions and back
    dialled    a link that we made         accepted    links that others made
    answers    questions that anybody may ask                watching    readers that are no nodes

Defects of it that stay, for its nodes know nothing else: no TLS, and a bare nonce is signed, so whoever stands
between two of its nodes can pass for one of them. Nodes of this program cannot be passed for: who says in
its profile that it offers our own service is not believed along this one.
"""
