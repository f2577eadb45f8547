"""The conformance kit: conversations that show whether a FIX engine keeps the rules of its session.

    cases/     what is proved, one function for each rule
    frames     bytes, sound and broken ones
    line       one connection, and the record of it
    peer       FIX over it, spoken by hand
    stage      how a case gets its connections, to an acceptor or from an initiator
    runner     one case after another
    report     lines for a person, JSON and JUnit for a machine

It shares no session code with the engine of this package: that one is a target like any other.
"""
