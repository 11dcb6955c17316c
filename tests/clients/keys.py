"""Object keys that have broken clients and proxies before."""

NASTY_KEYS = {
    "cjk": "目录/文件 名.txt",
    "space": "a b  c/ d ",
    "plus": "a+b++c+",
    "percent": "100%/%20/%2F%zz",
    "double-slash": "//lead//dbl",
    "dot": "./x",
    "dots-inside": "a/./b/../c",
    "punctuation": "(1)*'!~-_.@:&=;,$",
    "query-like": "a?b=c#d",
    "trailing-slash": "folder/",
    "long": "k" * 850,
    "long-cjk": "长" * 283,
    "emoji": "😀/👩‍👩‍👧.png",
    "markup": "<a>&\"'`|^{}[]\\",
}
