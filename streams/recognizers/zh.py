"""Chinese. A name is a family name of one or two characters and one or two more; all of them are words as well.

Here: such names without a cue, dates with 年月日, addresses down to the house number, and plates.
"""

from collections.abc import Iterator

from streams.recognizers._finder import Finder, Found, Pattern
from streams.recognizers._lexicon import FUNCTION, NAME, TITLE_AFTER
from streams.recognizers._reading import PIECE, TOUCHES, Reading, Token
from streams.recognizers._words import judged

EXAMPLES = {
    "我叫王璟翊，在厂里上班": "我叫<NAME>，在<PLACE>上班",
    "老板三个月没发工资": "老板三个月没发工资",
    "主管李晓明扣了我的护照": "主管<NAME>扣了我的护照",
    "2023年5月3日他打我": "<DATE>他打我",
    "我住在富民路45号": "<PLACE>",
}

FAMILY_NAMES = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许邓韩冯曹彭曾肖田董潘袁蔡蒋余杜叶程魏苏吕丁任沈姚卢傅钟姜崔谭廖范汪陆金石戴"
    "贾韦夏邱方侯邹熊孟秦白江阎薛尹段雷黎史龙陶贺顾毛郝龚邵万钱严覃武莫孔向汤温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关"
    "兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳欧管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简"
    "车项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明佘池查麻苑迟邝"
    "張劉陳楊黃趙吳孫馬羅鄭謝許鄧韓馮蕭葉呂盧鐘譚範陸賈韋鄒閻龍賀顧龔邵萬錢嚴湯龐顏莊聶魯詹歐關蘭紀畢單蘇"
)
_DOUBLE = frozenset({"欧阳", "司马", "上官", "诸葛", "司徒", "夏侯", "东方", "皇甫", "尉迟", "公孙", "慕容", "令狐", "歐陽", "司馬", "諸葛"})

_DATE = (
    r"(?:(?:\d{2,4}|[〇零一二三四五六七八九]{2,4})\s?[年/.-]\s?)?(?:\d{1,2}|[一二三四五六七八九十]{1,2})\s?月\s?"
    r"(?:初)?(?:\d{1,2}|[一二三四五六七八九十廿]{1,3})(?:\s?[日号號](?!楼|线|机|床))?(?!\d|个|個)"
)
_ADDRESS = (
    r"[\u4e00-\u9fff]{1,6}(?:区|區|县|縣|镇|鎮|乡|鄉|街道|村|路|街|巷|弄|大道)(?:[\u4e00-\u9fff]{0,8}(?:镇|鎮|街道|村|路|街|巷|弄|大道|社区|小区|花园))*"
    r"\s?\d{1,5}(?:-\d{1,4})?\s?[号號](?:[\u4e00-\u9fff]{0,6}\d{0,4}[栋幢棟座楼樓室房单元單元层層])*"
    r"|[\u4e00-\u9fff]{2,4}村(?:[\u4e00-\u9fff]{1,3}组)?\d{1,4}[号號]?|(?:[\u4e00-\u9fff]{2,8}?)?(?:[A-Za-z]|\d{1,3})\s?[栋幢棟座](?:\d{1,4}[房室]?)?"
    r"|\d{2,4}\s?[房室](?!间)"
)
_PLATE = r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼]\s?[A-Z]\s?[·.\-]?\s?[A-Z0-9]{5,6}"
_NUMBER_IN_HAN = r"(?:[〇零一二三四五六七八九幺两]\s?){7,}"


class ChineseNames(Finder):
    """A family name and one or two characters that form no listed word with what follows."""

    ENTITIES = ("PERSON",)

    def find(self, reading: Reading) -> Iterator[Found]:
        """See the class."""
        tokens = judged(reading)
        for index, token in enumerate(tokens[:-1]):
            if token.kind != PIECE or not (token.text in FAMILY_NAMES or token.text in _DOUBLE):
                continue
            given = self._given(tokens, index + 1)
            if given:
                yield token.start, tokens[index + given].end, "PERSON"

    @staticmethod
    def _given(tokens: list[Token], first: int) -> int:
        """How many tokens from ``first`` on are a given name: one or two characters in all."""
        taken = letters = 0
        for token in tokens[first : first + 2]:
            size = token.end - token.start
            usual = token.cue and not token.star or token.cue & (FUNCTION | TITLE_AFTER)
            if token.kind != PIECE or token.gap != TOUCHES or letters + size > 2 or usual:
                break
            if size == 2 and not (token.star or token.tier >= NAME):
                break
            taken += 1
            letters += size
        return taken


def recognizers() -> list[Finder]:
    """The recognisers of this file."""
    return [
        ChineseNames("zh"),
        Pattern("zh", "DATE_TIME", _DATE),
        Pattern("zh", "LOCATION", _ADDRESS),
        Pattern("zh", "VEHICLE_ID", _PLATE),
        Pattern("zh", "PHONE_NUMBER", _NUMBER_IN_HAN),
    ]
