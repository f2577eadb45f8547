"""The three long layouts: placeOrder, openOrder and completedOrder, and the groups that they share."""

from __future__ import annotations

from txtrader.wire.tws.layout import (
    Choice,
    Flagged,
    Literal,
    Many,
    Span,
    When,
    equals,
    is_infinite,
    is_positive,
    is_set,
    parts,
)

__all__ = ["COMPLETED_ORDER", "CONTRACT_11", "CONTRACT_12", "DELTA_NEUTRAL", "LEGS", "OPEN_ORDER", "PLACE_ORDER"]

CONTRACT_12 = parts(
    "conId:i symbol:s secType:s lastTradeDateOrContractMonth:s strike:d right:s multiplier:s exchange:s"
    " primaryExchange:s currency:s localSymbol:s tradingClass:s"
)
CONTRACT_11 = parts(
    "conId:i symbol:s secType:s lastTradeDateOrContractMonth:s strike:d right:s multiplier:s exchange:s"
    " currency:s localSymbol:s tradingClass:s"
)
DELTA_NEUTRAL = parts("conId:i delta:d price:d")
LEGS = parts("conId:i ratio:i action:s exchange:s")

_UNUSED = Literal("")
_BAG_LISTS = parts(
    Many("comboLegs", parts(LEGS, "openClose:i shortSaleSlot:i designatedLocation:s exemptCode:i")),
    Many("orderComboLegs", parts("price:d")),
    Many("smartComboRoutingParams", parts("tag:s value:s")),
)
_HEDGE_ORDER = parts(
    "deltaNeutralConId:i deltaNeutralSettlingFirm:s deltaNeutralClearingAccount:s deltaNeutralClearingIntent:s"
    " deltaNeutralOpenClose:s deltaNeutralShortSale:b deltaNeutralShortSaleSlot:i deltaNeutralDesignatedLocation:s"
)
_SCALE = parts(
    "scaleInitLevelSize:i scaleSubsLevelSize:i scalePriceIncrement:d",
    When(
        is_positive("scalePriceIncrement"),
        parts(
            "scalePriceAdjustValue:d scalePriceAdjustInterval:i scaleProfitOffset:d scaleAutoReset:b"
            " scaleInitPosition:i scaleInitFillQty:i scaleRandomPercent:b"
        ),
    ),
)
_HEDGE = parts("hedgeType:s", When(is_set("hedgeType"), parts("hedgeParam:s")))
_ALGO = parts("algoStrategy:s", When(is_set("algoStrategy"), parts(Many("algoParams", parts("tag:s value:s")))))
_PEG_BENCH = When(
    equals("orderType", "PEG BENCH", "PEGBENCH"),
    parts(
        "referenceContractId:i isPeggedChangeAmountDecrease:b peggedChangeAmount:d referenceChangeAmount:d"
        " referenceExchangeId:s"
    ),
)
_CONDITIONS = parts(
    Many(
        "conditions",
        parts(
            "condType:i",
            Choice(
                "condType",
                {
                    1: parts("isConjunctionConnection:j isMore:b price:d conId:i exchange:s triggerMethod:i"),
                    3: parts("isConjunctionConnection:j isMore:b time:s"),
                    4: parts("isConjunctionConnection:j isMore:b percent:d"),
                    5: parts("isConjunctionConnection:j secType:s exchange:s symbol:s"),
                    6: parts("isConjunctionConnection:j isMore:b volume:i conId:i exchange:s"),
                    7: parts("isConjunctionConnection:j isMore:b changePercent:d conId:i exchange:s"),
                },
            ),
        ),
    ),
    When(is_set("conditions"), parts("conditionsIgnoreRth:b conditionsCancelOrder:b")),
)
_PEG_OFFSETS = "midOffsetAtWhole:d midOffsetAtHalf:d"
_AUCTION = "startingPrice:d stockRefPrice:d delta:d stockRangeLower:d stockRangeUpper:d"

PLACE_ORDER = parts(
    "orderId:i",
    CONTRACT_12,
    "secIdType:s secId:s",
    "action:s totalQuantity:d orderType:s lmtPrice:d auxPrice:d tif:s ocaGroup:s account:s openClose:s origin:i"
    " orderRef:s transmit:b parentId:i blockOrder:b sweepToFill:b displaySize:i triggerMethod:i outsideRth:b hidden:b",
    When(equals("secType", "BAG"), _BAG_LISTS),
    _UNUSED,  # shares allocation, no longer used
    "discretionaryAmt:d goodAfterTime:s goodTillDate:s faGroup:s faMethod:s faPercentage:s faProfile:s<177",
    "modelCode:s shortSaleSlot:i designatedLocation:s exemptCode:i ocaType:i rule80A:s settlingFirm:s allOrNone:b"
    " minQty:i percentOffset:d eTradeOnly:b firmQuoteOnly:b nbboPriceCap:d auctionStrategy:i",
    _AUCTION,
    "overridePercentageConstraints:b volatility:d volatilityType:i deltaNeutralOrderType:s deltaNeutralAuxPrice:d",
    When(is_set("deltaNeutralOrderType"), _HEDGE_ORDER),
    "continuousUpdate:b referencePriceType:i trailStopPrice:d trailingPercent:d",
    _SCALE,
    "scaleTable:s activeStartTime:s activeStopTime:s",
    _HEDGE,
    "optOutSmartRouting:b clearingAccount:s clearingIntent:s notHeld:b",
    Flagged("deltaNeutralContract", DELTA_NEUTRAL),
    _ALGO,
    "algoId:s whatIf:b orderMiscOptions:s solicited:b randomizeSize:b randomizePrice:b",
    _PEG_BENCH,
    _CONDITIONS,
    "adjustedOrderType:s triggerPrice:d lmtPriceOffset:d adjustedStopPrice:d adjustedStopLimitPrice:d"
    " adjustedTrailingAmount:d adjustableTrailingUnit:i extOperator:s softDollarTierName:s softDollarTierValue:s"
    " cashQty:d mifid2DecisionMaker:s mifid2DecisionAlgo:s mifid2ExecutionTrader:s mifid2ExecutionAlgo:s"
    " dontUseAutoPriceForHedge:b isOmsContainer:b discretionaryUpToLimitPrice:b usePriceMgmtAlgo:o",
    "duration:i>=158 postToAts:i>=160 autoCancelParent:b>=162 advancedErrorOverride:s>=166 manualOrderTime:s>=169",
    Span(
        parts(
            When(equals("exchange", "IBKRATS"), parts("minTradeQty:i")),
            When(
                equals("orderType", "PEG BEST", "PEGBEST"),
                parts(
                    "minCompeteSize:i competeAgainstBestOffset:u",
                    When(is_infinite("competeAgainstBestOffset"), parts(_PEG_OFFSETS)),
                ),
            ),
            When(equals("orderType", "PEG MID", "PEGMID"), parts(_PEG_OFFSETS)),
        ),
        since=170,
    ),
    "customerAccount:s>=183 professionalCustomer:b>=184",
    Span(parts("externalUserId:s manualOrderIndicator:i"), since=187, until=190),
    "includeOvernight:b>=189 manualOrderIndicator:i>=192 imbalanceOnly:b>=199",
)

_TERMS = parts(
    CONTRACT_11,
    "action:s totalQuantity:d orderType:s lmtPrice:d auxPrice:d tif:s ocaGroup:s account:s openClose:s origin:i"
    " orderRef:s",
)
_ALLOCATION = (
    "faGroup:s faMethod:s faPercentage:s faProfile:s<177 modelCode:s goodTillDate:s rule80A:s percentOffset:d"
    " settlingFirm:s shortSaleSlot:i designatedLocation:s exemptCode:i"
)
_VOLATILITY = "triggerMethod:i volatility:d volatilityType:i deltaNeutralOrderType:s deltaNeutralAuxPrice:d"
_TRAIL = "continuousUpdate:b referencePriceType:i trailStopPrice:d trailingPercent:d"
_GROUPS = parts("comboLegsDescrip:s", _BAG_LISTS, _SCALE, _HEDGE)
_CLEARING = parts(
    "clearingAccount:s clearingIntent:s notHeld:b",
    Flagged("deltaNeutralContract", DELTA_NEUTRAL),
    _ALGO,
    "solicited:b",
)
_RANDOM = parts("randomizeSize:b randomizePrice:b", _PEG_BENCH, _CONDITIONS)
_MARGINS = " ".join(
    f"{figure}{when}:m"
    for when in ("Before", "Change", "After")
    for figure in ("initMargin", "maintMargin", "equityWithLoan")
)
_MARGINS_OUTSIDE = " ".join(
    f"{figure}{when}OutsideRTH:m"
    for when in ("Before", "Change", "After")
    for figure in ("initMargin", "maintMargin", "equityWithLoan")
)
_PEG_FIELDS = (
    "minTradeQty:i>=170 minCompeteSize:i>=170 competeAgainstBestOffset:u>=170 midOffsetAtWhole:d>=170"
    " midOffsetAtHalf:d>=170"
)

OPEN_ORDER = parts(
    "orderId:i",
    _TERMS,
    "clientId:i permId:i outsideRth:b hidden:b discretionaryAmt:d goodAfterTime:s",
    _UNUSED,
    _ALLOCATION,
    "auctionStrategy:i",
    _AUCTION,
    "displaySize:i blockOrder:b sweepToFill:b allOrNone:b minQty:i ocaType:i eTradeOnly:b firmQuoteOnly:b"
    " nbboPriceCap:d parentId:i",
    _VOLATILITY,
    When(is_set("deltaNeutralOrderType"), _HEDGE_ORDER),
    _TRAIL,
    "basisPoints:d basisPointsType:i",
    _GROUPS,
    "optOutSmartRouting:b",
    _CLEARING,
    "whatIf:b status:s",
    _MARGINS,
    "commission:m minCommission:m maxCommission:m commissionCurrency:s",
    Span(
        parts(
            "marginCurrency:s",
            _MARGINS_OUTSIDE,
            "suggestedSize:d rejectReason:s",
            Many(
                "orderAllocations",
                parts(
                    "account:s position:d positionDesired:d positionAfter:d desiredAllocQty:d allowedAllocQty:d"
                    " isMonetary:b"
                ),
            ),
        ),
        since=195,
    ),
    "warningText:s",
    _RANDOM,
    "adjustedOrderType:s triggerPrice:d trailStopPrice:d lmtPriceOffset:d adjustedStopPrice:d"
    " adjustedStopLimitPrice:d adjustedTrailingAmount:d adjustableTrailingUnit:i softDollarTierName:s"
    " softDollarTierValue:s softDollarTierDisplayName:s cashQty:d dontUseAutoPriceForHedge:b isOmsContainer:b"
    " discretionaryUpToLimitPrice:b usePriceMgmtAlgo:o",
    "duration:i>=158 postToAts:i>=160 autoCancelParent:b>=162",
    _PEG_FIELDS,
    "customerAccount:s>=183 professionalCustomer:b>=184 bondAccruedInterest:s>=185 includeOvernight:b>=189"
    " extOperator:s>=193 manualOrderIndicator:i>=193 submitter:s>=198 imbalanceOnly:b>=199",
)

COMPLETED_ORDER = parts(
    _TERMS,
    "permId:i outsideRth:b hidden:b discretionaryAmt:d goodAfterTime:s",
    _ALLOCATION,
    _AUCTION,
    "displaySize:i sweepToFill:b allOrNone:b minQty:i ocaType:i",
    _VOLATILITY,
    When(
        is_set("deltaNeutralOrderType"),
        parts(
            "deltaNeutralConId:i deltaNeutralShortSale:b deltaNeutralShortSaleSlot:i deltaNeutralDesignatedLocation:s"
        ),
    ),
    _TRAIL,
    _GROUPS,
    _CLEARING,
    "status:s",
    _RANDOM,
    "trailStopPrice:d lmtPriceOffset:d cashQty:d dontUseAutoPriceForHedge:b isOmsContainer:b autoCancelDate:s"
    " filledQuantity:d refFuturesConId:i autoCancelParent:b shareholder:s imbalanceOnly:b routeMarketableToBbo:b"
    " parentPermId:i completedTime:s completedStatus:s",
    _PEG_FIELDS,
    "customerAccount:s>=183 professionalCustomer:b>=184 submitter:s>=198",
)
