#!/usr/bin/env python3
"""Reads, searches and transforms with lxml."""
import sys

from lxml import etree, html


def use():
    root = etree.fromstring(b"<r xmlns:x='u'><a n='1'>t</a><x:b/><a n='2'>&#228;</a></r>")
    print(root.xpath("//a/@n"), root.xpath("count(//x:b)", namespaces={"x": "u"}), etree.tostring(root, pretty_print=True))
    style = etree.XSLT(etree.XML('<s:stylesheet version="1.0" xmlns:s="http://www.w3.org/1999/XSL/Transform"><s:template match="/"><o><s:value-of select="//a[2]"/></o></s:template></s:stylesheet>'))
    print(str(style(root)), html.fromstring("<p>a<b>c").text_content())
    etree.fromstring("<a><b></a>")


if __name__ == "__main__":
    if sys.argv[1:] == ["--describe"]:
        command = '{"name": "use", "description": "Uses it", "parameters": []}'
        plugin = '{"name": "package", "version": "1.0.0", "description": "Uses a package"}'
        print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, command))
    else:
        use()
